"""Guests that follow recorded loads, and what the ledgers of a world counted, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster.errors import InputError
from simulator.accounting import AccountLedger
from simulator.guests import SimGuest
from simulator.loads import LoadMatrix
from simulator.published_accounting import PublishedLedger
from simulator.traces import read_trace
from simulator.world import World


def follow(guests: Sequence[SimGuest], path: Path) -> list[SimGuest]:
    """Return the guests, those named in the trace with its loads. `InputError`: no trace, or none of them in it."""
    trace = read_trace(path)
    row = {name: number for number, name in enumerate(trace.guests)}
    if not any(guest.facts.title in row for guest in guests):
        raise InputError(f"{path}: none of the {len(guests)} guests of the scenario is in it; guests are found by name")
    vcpus = {guest.facts.title: guest.facts.vcpus for guest in guests}
    loads = LoadMatrix(trace.millicores(vcpus), slot_s=trace.step_s).loads()
    return [
        replace(guest, load=loads[row[guest.facts.title]]) if guest.facts.title in row else guest for guest in guests
    ]


def accounts(world: World) -> list[str]:
    """Return what each ledger of the world counted, a line each."""
    lines = []
    for ledger in world.ledgers:
        if isinstance(ledger, AccountLedger):
            found = ledger.figures()
            over_min, guests_min = (
                sum(by_id.values()) / 60 for by_id in (found.host_overload_s, found.guest_overload_s)
            )
            lines.append(
                f"{found.kwh:.2f} kWh; hosts overloaded for {over_min:.0f} min, guests on them {guests_min:.0f} min; "
                f"CPU not served {found.unserved_ratio:.2%}; {found.wakes} wake-ups, {found.late_wakes} too late"
            )
        elif isinstance(ledger, PublishedLedger):
            held = ledger.figures()
            lines.append(
                f"as the literature counts: {held.kwh:.2f} kWh, SLATAH {held.slatah_ratio:.2%}, "
                f"PDM {held.pdm_ratio:.3%}, SLAV {held.slav * 1e5:.2f}e-5, ESV {held.esv * 1e3:.2f}e-3"
            )
    return lines
