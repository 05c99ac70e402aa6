"""Guests that rest: what did not converge is left out for a while, and latency-sensitive guests wait for a window."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster.config.settings import Settings, WindowKind, WindowSettings
from cluster.guest import MigrationPolicy
from cluster.migration.backoff import after_failure, flag_of
from cluster.snapshot import Snapshot
from scheduler.gate import frozen_guests
from simulator.guests import Load, SimGuest
from tests.scheduler import stage as module
from tests.scheduler.stage import Stage
from tests.scheduler.test_breakers import NOW, closed, gate_of, view
from tests.simulator.worlds import make_guest


def sensitive(snapshot: Snapshot, *, failing: bool = False) -> Snapshot:
    """The snapshot with its guest latency-sensitive, on a host that fails or does not."""
    (guest,) = snapshot.guests
    guest = replace(guest, migration=MigrationPolicy(latency_sensitive=True))
    hosts = tuple(replace(host, failing=failing and host.id == guest.host) for host in snapshot.hosts)
    return replace(snapshot, guests=(guest,), hosts=hosts)


@pytest.mark.parametrize("by_request", [False, True])
def test_one_that_did_not_converge_is_left_out_until_its_rest_is_over(by_request: bool) -> None:
    """Of plans that people ask for, too; afterwards it may be tried again."""
    flags = {flag_of("g1"): after_failure(None, NOW - timedelta(seconds=5))}
    code, text = frozen_guests(view(flags=flags, by_request=by_request), {})["g1"]
    assert code == "does_not_converge"
    assert text.startswith("web-1: its migration did not converge (once)")
    rested = view(flags=flags, by_request=by_request, now=NOW + timedelta(seconds=30))
    assert frozen_guests(rested, {}) == {}


def test_an_unresolved_guest_is_that_before_all_else() -> None:
    """What an operator has to look at is not hidden by a rest."""
    flags = {flag_of("g1"): after_failure(None, NOW)}
    assert frozen_guests(view(flags=flags), {"g1": "nobody knows"})["g1"][0] == "not_movable"


@pytest.mark.parametrize(
    ("settings", "rests"),
    [
        (closed(WindowKind.ACT, now=True), False),
        (closed(WindowKind.ACT, now=False), True),
        (closed(WindowKind.NIGHT, now=False), False),
        (gate_of(), False),
    ],
    ids=["window open", "window closed", "another kind of window", "no window"],
)
def test_a_latency_sensitive_guest_moves_only_while_a_window_is_open(settings: Settings, rests: bool) -> None:
    """Also when a person asks; without any window at any time."""
    for by_request in (False, True):
        snapshot = sensitive(view().snapshot)
        frozen = frozen_guests(view(settings=settings, snapshot=snapshot, by_request=by_request), {})
        assert [code for code, _ in frozen.values()] == (["out_of_window"] if rests else [])
    assert frozen_guests(view(settings=settings, by_request=True), {}) == {}, "other guests do not wait"


def test_nobody_rests_on_a_failing_host() -> None:
    """It is emptied first and fast."""
    flags = {flag_of("g1"): after_failure(None, NOW)}
    there = sensitive(view().snapshot, failing=True)
    assert frozen_guests(view(settings=closed(WindowKind.ACT, now=False), snapshot=there, flags=flags), {}) == {}


def test_a_drain_leaves_latency_sensitive_guests_until_their_window_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other guests go at once."""

    def make(name: str, load: Load) -> SimGuest:
        guest = make_guest(name, load=load)
        return replace(guest, facts=replace(guest.facts, migration=MigrationPolicy(latency_sensitive=name == "g0")))

    monkeypatch.setattr(module, "make_guest", make)
    stage = Stage(guests=3)
    opens = (stage.clock.now() + timedelta(minutes=12)).replace(second=0, microsecond=0)
    window = WindowSettings(WindowKind.ACT, start=opens.time(), end=(opens + timedelta(hours=2)).time())
    stage.configure(replace(stage.settings, windows=(window,)))
    stage.store.set_flag("drain:a", "ann")
    stage.run(500)
    assert [guest.id for guest in stage.world.snapshot().guests_by_host["a"]] == ["g0"]
    stage.run(900)
    assert stage.on("a") == 0
