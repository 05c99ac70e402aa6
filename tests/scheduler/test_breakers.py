"""Each breaker's one line: what the gate says, what the manual promises, and the exit status of who asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.config.settings import GateSettings, Mode, SchedulerSettings, Settings, WindowKind, WindowSettings
from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.limits import Limits
from cluster.plan import Estimate, Figures, Migrate, Plan, Status, TierValue
from cluster.snapshot import Snapshot
from scheduler.gate import View, frozen_guests, why_no_action, why_no_plan, why_not_act
from scheduler.last_look import why_not_now
from scheduler.see import Sight

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
FIGURES = Figures(5, 900.0, 0.6, 0.2, 0.6, 0.2, 0)


def host(name: str, **changes: object) -> Host:
    """A host measured a second ago."""
    return replace(Host(name, 8000, 16384, measured_at=NOW - timedelta(seconds=1)), **changes)  # type: ignore[arg-type]


def view(**changes: object) -> View:
    """A view in which nothing holds anything back: five fresh hosts, one guest, mode act, started long ago."""
    guest = Guest(id="g1", name="web-1", host="kvm-1", vcpus=1, memory_mib=1024, usage=Usage(500))
    settings = Settings(scheduler=SchedulerSettings(mode=Mode.ACT))
    snapshot = Snapshot("s", NOW, tuple(host(f"kvm-{number}") for number in range(1, 6)), (guest,))
    calm = View(settings, NOW, NOW - timedelta(hours=1), snapshot, {}, kill_switch=False)
    return replace(calm, **changes)  # type: ignore[arg-type]


def gate_of(**changes: object) -> Settings:
    """Settings of mode act with some of the gate's changed."""
    gate = replace(GateSettings(), **changes)  # type: ignore[arg-type]
    return Settings(scheduler=SchedulerSettings(mode=Mode.ACT), gate=gate)


def plan(moves: int = 1, gain: float = 0.5) -> Plan:
    """A plan of so many moves that betters balance by a share."""
    estimate = Estimate(1024, 1.0, 20, 0.99, 10000)
    steps = tuple(Migrate(f"s{n}", f"g{n}", "kvm-1", "kvm-2", "CPU", estimate) for n in range(1, moves + 1))
    goals = (TierValue("repair", 0, 0, 0, 0), TierValue("balance", 1.0, 1.0 - gain, 0.0, 0.5))
    until = NOW + timedelta(minutes=15)
    return Plan("P1", "s", "balance", 3, 1, NOW, until, Status.FEASIBLE, "", goals, 0.5, steps, FIGURES, FIGURES)


def stale(*names: str) -> Snapshot:
    """The five hosts, some of them not heard of for an hour."""
    hosts = view().snapshot.hosts
    old = NOW - timedelta(hours=1)
    return replace(view().snapshot, hosts=tuple(replace(h, measured_at=old) if h.id in names else h for h in hosts))


def closed(kind: WindowKind, *, now: bool) -> Settings:
    """Settings with one window, open now or in some hours."""
    start = NOW if now else NOW + timedelta(hours=3)
    window = WindowSettings(kind, start=start.time(), end=(start + timedelta(hours=1)).time())
    return replace(gate_of(), windows=(window,))


Say = Callable[[], str | None]

LINES: dict[str, tuple[Say, str]] = {
    "kill switch": (
        lambda: why_no_action(view(kill_switch=True)),
        "the kill switch /etc/trimtab/stop is there: remove it to go on",
    ),
    "pause": (lambda: why_no_action(view(flags={"paused": "root@kvm-1"})), "paused by root@kvm-1: trimtab resume"),
    "blackout": (
        lambda: why_no_action(view(settings=closed(WindowKind.BLACKOUT, now=True))),
        "a blackout window is open",
    ),
    "stale hosts": (
        lambda: why_no_plan(view(snapshot=stale("kvm-4", "kvm-5"))),
        "2 of 5 hosts are stale or unreachable (kvm-4, kvm-5): the figures cannot be trusted",
    ),
    "no report": (lambda: why_no_plan(view(snapshot=Snapshot("", NOW, (), ()))), "no host has reported"),
    "quiet start": (
        lambda: why_no_plan(view(started_at=NOW - timedelta(seconds=480))),
        "quiet start, 120 s to go",
    ),
    "figures older than the last move": (
        lambda: why_no_plan(
            view(
                last_moves={"g1": NOW},
                snapshot=replace(view().snapshot, hosts=(host("kvm-1"), host("kvm-2", measured_at=None))),
            )
        ),
        "waiting for figures taken after the last move (kvm-1)",
    ),
    "cluster cooldown": (
        lambda: why_no_plan(
            view(settings=gate_of(cluster_cooldown_s=60.0), last_moves={"g1": NOW - timedelta(seconds=20)})
        ),
        "cooling down after the last move, 40 s to go",
    ),
    "guest cooldown": (
        lambda: frozen_guests(view(last_moves={"g1": NOW}), {})["g1"][1],
        "moved at 20:00:00 UTC, rests for 1800 s",
    ),
    "store that may forget": (
        lambda: why_not_act(view(store_problems=("store redis://r has appendonly no; set it",)), plan()),
        "the store is not safe for a journal: ",
    ),
    "mode": (lambda: why_not_act(view(settings=Settings()), plan()), "mode observe"),
    "act window": (
        lambda: why_not_act(view(settings=closed(WindowKind.ACT, now=False)), plan()),
        "no act window is open",
    ),
    "least gain": (
        lambda: why_not_act(view(), plan(gain=0.03)),
        "the gain of 3.0% is under the least of 5.0%",
    ),
    "most moves": (lambda: why_not_act(view(), plan(moves=25)), "25 moves, 20 allowed"),
    "kill switch on a host": (
        lambda: why_not_now(
            plan(), plan().steps[0], Sight(view().snapshot, (), frozenset({"kvm-1"})), Limits(), NOW
        ),
        "the kill switch is there on host kvm-1: remove it to go on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("breaker", LINES)
def test_a_breaker_says_its_one_line(breaker: str) -> None:
    """The line that names the breaker, what it saw and, where a person can help, what to do."""
    say, line = LINES[breaker]
    said = say()
    assert said is not None and "\n" not in said
    assert said.startswith(line)


@pytest.mark.parametrize("breaker", LINES)
def test_the_manual_has_the_line(breaker: str) -> None:
    """Word by word, so that a person who reads the line finds it."""
    assert LINES[breaker][1].strip() in MANUAL


def test_nothing_holds_back_what_is_well() -> None:
    """Otherwise the lines above would prove nothing."""
    assert (why_no_action(view()), why_no_plan(view()), why_not_act(view(), plan())) == (None, None, None)
    assert frozen_guests(view(), {}) == {}
    assert why_not_now(plan(), plan().steps[0], Sight(view().snapshot, ()), Limits(), NOW) is None


@pytest.mark.parametrize("breaker", ["quiet start", "cluster cooldown", "guest cooldown", "mode", "act window"])
def test_what_a_person_asks_for_is_not_held_back_by_caution(breaker: str) -> None:
    """Cooldowns, windows, the quiet start and the mode are about what the daemon does by itself."""
    just = {"g1": NOW - timedelta(seconds=2)}
    asked = {
        "quiet start": view(started_at=NOW, by_request=True),
        "cluster cooldown": view(settings=gate_of(cluster_cooldown_s=60.0), last_moves=just, by_request=True),
        "guest cooldown": view(last_moves=just, by_request=True),
        "mode": view(settings=Settings(), by_request=True),
        "act window": view(settings=closed(WindowKind.ACT, now=False), by_request=True),
    }[breaker]
    assert why_no_plan(asked) is None and why_not_act(asked, plan()) is None
    assert frozen_guests(asked, {}) == {}


def test_every_key_of_the_gate_is_in_the_manual() -> None:
    """A breaker that cannot be looked up cannot be set."""
    named = set(re.findall(r"gate\.(\w+)", MANUAL))
    assert {name for name in GateSettings.__dataclass_fields__ if name != "kill_switch"} <= named
