"""Bandwidth budgets on real links: what leaves a host each second, counted by its own interface, while guests move."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

import pytest

from cluster.config.settings import BudgetScope, BudgetSettings, MigrationSettings
from cluster.migration.links import MIB_S_PER_MBIT_S, Links
from cluster.plan import Migrate, Plan, StepState
from executors.terms import Terms
from tests.executors.rig import Rig
from tests.executors.world import migrate
from tests.lab.guests import LabGuest
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

MIB = 1 << 20
CAP_MIB_S = 40
NARROW_MIB_S = 16
MOST_MIB_S = 44.0
"""A tenth above the cap: what a second may carry where nobody switches over."""
DOWN_MS = 100
SETTINGS = MigrationSettings(out_per_host=3, in_per_host=3, per_cluster=6)
HOSTS = ("lab-1", "lab-2", "lab-3")


@dataclass
class Meter:
    """MiB sent by a host in each second, as its interface counts them."""

    host: LabHost
    seconds: list[tuple[float, float]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[Meter]:
        """Read the counters once a second, on a thread of its own, until the end."""
        over = threading.Event()

        def read() -> None:
            before_s, before = time.monotonic(), self.host.link_bytes()[1]
            while not over.wait(max(0.0, before_s + 1.0 - time.monotonic())):
                now_s, now = time.monotonic(), self.host.link_bytes()[1]
                self.seconds.append((now_s, (now - before) / MIB / (now_s - before_s)))
                before_s, before = now_s, now

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()

    def between(self, from_s: float, to_s: float) -> list[float]:
        """The rates of the whole seconds between two moments, MiB/s."""
        return [mib_s for at_s, mib_s in self.seconds if at_s - 1.0 >= from_s and at_s <= to_s]

    def shown(self) -> str:
        """All of them, for a person."""
        return " ".join(f"{mib_s:.1f}" for _, mib_s in self.seconds)


def budget(mib_s: float, **window: time_of_day) -> BudgetSettings:
    """What may leave lab-1."""
    return BudgetSettings(BudgetScope.HOST_OUT, mib_s / MIB_S_PER_MBIT_S + 1e-6, "lab-1", **window)  # type: ignore[arg-type]


def links(*budgets: BudgetSettings) -> Links:
    """The lab's links, which nothing bounds but budgets."""
    return Links(dict.fromkeys(HOSTS, math.inf), (), budgets)


@contextmanager
def rig_with(lab: Lab, *budgets: BudgetSettings) -> Iterator[Rig]:
    """A runner over the lab's hosts, whose guests may stand for `DOWN_MS`."""

    def terms(_plan: Plan, _step: Migrate) -> Terms:
        return Terms((), DOWN_MS / 1000)

    rig = Rig({host.name: host.uri for host in lab.hosts}, SETTINGS, links=links(*budgets), terms=terms)
    try:
        yield rig
    finally:
        rig.close()


def guests(lab: Lab, number: int, filled_mib: int, **more: object) -> list[LabGuest]:
    """Guests on lab-1 with so much memory that is not zero."""
    policy = {"max_downtime_ms": str(DOWN_MS), **{key: str(value) for key, value in more.items()}}
    return [
        lab.guest(
            f"g{one}",
            "lab-1",
            memory_mib=filled_mib + 64,
            filled_mib=filled_mib,
            dirty_mib=8,
            dirty_mib_s=2,
            migration=policy,
        )
        for one in range(number)
    ]


def moves(leaving: Sequence[LabGuest]) -> list[Migrate]:
    """Each to one of the other hosts in turn, all at once."""
    return [migrate(f"s{one}", guest.uuid, "lab-1", HOSTS[1 + one % 2]) for one, guest in enumerate(leaving)]


def until_all_flow(rig: Rig, leaving: Sequence[LabGuest]) -> float:
    """Tick until every migration has sent memory; return when that was."""
    rig.until(lambda: all(rig.under_way(f"s{one}") for one in range(len(leaving))), 30)
    return time.monotonic()


def first_end(rig: Rig) -> Callable[[], bool]:
    """Whether a step is over."""
    return lambda: any(record.state.is_final for record in rig.record().steps.values())


def test_three_guests_that_leave_at_once_stay_within_the_budget_and_use_it(lab: Lab) -> None:
    """No second above a tenth over the cap, the link at least 85 % used until the last, and even shares."""
    leaving = guests(lab, 3, 152)
    meter = Meter(lab.host("lab-1"))
    with rig_with(lab, budget(CAP_MIB_S)) as rig, meter.running():
        rig.begin(*moves(leaving))
        began_s = until_all_flow(rig, leaving)
        before = [rig.step(f"s{one}").mib for one in range(3)]
        rig.until(lambda: time.monotonic() > began_s + 4.0, 30)
        sent = [rig.step(f"s{one}").mib - before[one] for one in range(3)]
        record = rig.finish()
        ended_s = time.monotonic()
    assert {step.state for step in record.steps.values()} == {StepState.DONE}
    # The last second is the last guest's end.
    together = meter.between(began_s, ended_s - 1.0)
    assert len(together) >= 5, meter.shown()
    print(f"three leave: {meter.shown()}; sent {sent}")
    # The stated bound of a switch-over is inside the budget: one share x 0.1 s.
    assert max(mib_s for _, mib_s in meter.seconds) <= MOST_MIB_S, meter.shown()
    assert sum(together) / len(together) >= 0.85 * CAP_MIB_S, meter.shown()
    assert max(sent) - min(sent) <= 0.1 * max(sent) + 2, sent
    for guest in leaving:
        assert guest.read().signature == guest.signature


def test_a_window_takes_effect_on_what_is_under_way(lab: Lab) -> None:
    """Three seconds after it opens the lower budget holds, and three after it closes the other is used again."""
    leaving = guests(lab, 2, 256)
    meter = Meter(lab.host("lab-1"))
    opens = datetime.now(UTC) + timedelta(seconds=7)
    closes = opens + timedelta(seconds=5)
    opens_s = time.monotonic() + 7
    closes_s = opens_s + 5
    window = budget(NARROW_MIB_S, start=opens.time(), end=closes.time())
    with rig_with(lab, budget(CAP_MIB_S), window) as rig, meter.running():
        rig.begin(*moves(leaving))
        began_s = until_all_flow(rig, leaving)
        assert began_s < opens_s - 2
        rig.until(first_end(rig), 60)
        ended_s = time.monotonic()
        rig.finish()
    print(f"window: {meter.shown()}")
    before, inside = meter.between(began_s, opens_s), meter.between(opens_s + 2.0, closes_s)
    # The last second is the first guest's end.
    after = meter.between(closes_s + 2.0, ended_s - 1.0)
    assert min(before) >= 0.85 * CAP_MIB_S, meter.shown()
    assert inside and max(inside) <= 1.1 * NARROW_MIB_S and min(inside) >= 0.8 * NARROW_MIB_S, meter.shown()
    assert after and max(after) >= 0.85 * CAP_MIB_S, meter.shown()
    assert max(mib_s for _, mib_s in meter.seconds) <= MOST_MIB_S, meter.shown()


def test_a_post_copy_phase_stays_under_the_cap(lab: Lab) -> None:
    """Memory that follows its guest, pages it faults on included, shares the budget with a guest in pre-copy."""
    first, second = guests(lab, 2, 128, allow_postcopy="yes")
    meter = Meter(lab.host("lab-1"))
    with rig_with(lab, budget(CAP_MIB_S)) as rig, meter.running():
        steps = moves((first, second))
        rig.begin(*steps)
        began_s = until_all_flow(rig, (first, second))
        rig.until(lambda: rig.step("s0").mib > 30, 30)
        rig.executor.start_postcopy(steps[0])
        switched_s = time.monotonic()
        rig.until(lambda: rig.record().step_state("s0").is_final, 60)
        ended_s = time.monotonic()
        record = rig.finish()
    print(f"post-copy from {switched_s - began_s:.1f} s, for {ended_s - switched_s:.1f} s: {meter.shown()}")
    assert {step.state for step in record.steps.values()} == {StepState.DONE}
    phase = meter.between(switched_s - 1.0, ended_s)
    assert len(phase) >= 3, meter.shown()
    assert max(mib_s for _, mib_s in meter.seconds) <= MOST_MIB_S, meter.shown()
    assert sum(phase) / len(phase) >= 0.7 * CAP_MIB_S, meter.shown()
    assert first.read().signature == first.signature
