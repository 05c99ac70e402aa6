"""Guests that rest for now: those that did not converge, and latency-sensitive ones out of their windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from cluster.config.settings import WindowKind, WindowSettings
from cluster.guest import Guest
from cluster.migration.backoff import flag_of, why_left_out
from cluster.snapshot import Snapshot
from scheduler.windows import any_open


def resting_guests(
    snapshot: Snapshot, windows: Iterable[WindowSettings], flags: Mapping[str, str], now: datetime
) -> dict[str, tuple[str, str]]:
    """Return the guests that rest, each with (code, sentence); none of a failing host does."""
    moments = tuple(windows)
    resting: dict[str, tuple[str, str]] = {}
    for guest in snapshot.guests:
        if snapshot.host_by_id[guest.host].failing:
            continue
        if (why := why_left_out(flags.get(flag_of(guest.id)), now)) is not None:
            resting[guest.id] = ("does_not_converge", f"{guest.title}: {why}")
        elif (why := why_out_of_window(guest, moments, now)) is not None:
            resting[guest.id] = ("out_of_window", why)
    return resting


def why_out_of_window(guest: Guest, windows: Iterable[WindowSettings], now: datetime) -> str | None:
    """Say that a latency-sensitive guest waits for a window in which Trimtab acts; `None` when it does not."""
    acting = [window for window in windows if window.kind is WindowKind.ACT]
    if not guest.migration.latency_sensitive or not acting or any_open(acting, WindowKind.ACT, now):
        return None
    return f"{guest.title} is latency-sensitive and moves only while a window of kind act is open"
