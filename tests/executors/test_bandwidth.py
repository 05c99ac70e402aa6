"""Running migrations share the links: budgets hold at every moment, whatever starts, ends or cannot be told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import time, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.config.settings import BudgetScope, BudgetSettings, LinkSettings
from cluster.errors import HostUnreachableError
from cluster.migration.links import MIB_S_PER_MBIT_S, Links
from cluster.plan import Migrate
from executors.bandwidth import Bandwidth
from executors.protocol import MayBegin, Progress, Sighting, always
from tests.executors.world import START, ManualClock, migrate

HOSTS = ("h1", "h2", "h3", "h4")
DOWN_S = 0.3


def mbit_s(mib_s: float) -> float:
    """A bandwidth as configurations hold it, a little more so that whole MiB/s stay whole."""
    return mib_s / MIB_S_PER_MBIT_S + 1e-6


@dataclass
class Jobs:
    """A migration executor that only knows its jobs' limits, and looks at the law after every change."""

    clock: ManualClock
    links: Links
    limits: dict[str, int] = field(default_factory=dict)
    steps: dict[str, Migrate] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    calls: list[tuple[str, int]] = field(default_factory=list)
    allowed_mib_s: Mapping[str, float] = field(default_factory=dict)

    def set_limit(self, step: Migrate, limit_mib_s: int) -> None:
        if step.source in self.silent:
            raise HostUnreachableError(f"host {step.source} does not answer")
        self.calls.append((step.id, limit_mib_s))
        if step.id in self.limits:
            self.limits[step.id] = limit_mib_s
        self.check()

    def start(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin = always) -> None:
        self.limits[step.id], self.steps[step.id] = limit_mib_s, step
        self.check()

    def look(self, step: Migrate) -> Sighting:
        raise AssertionError("dividing links looks at no guest and ends no migration")

    def poll(self, step: Migrate) -> Progress:
        raise AssertionError("dividing links looks at no guest and ends no migration")

    def abort(self, step: Migrate) -> None:
        raise AssertionError("dividing links looks at no guest and ends no migration")

    def used(self, downtime_s: float = DOWN_S) -> dict[str, float]:
        """What may cross each link in a second, its largest switch-over included."""
        used: dict[str, float] = {}
        bursts: dict[str, float] = {}
        for name, limit in self.limits.items():
            for link in self.links.path(self.steps[name].source, self.steps[name].target):
                used[link] = used.get(link, 0.0) + (limit or math.inf)
                bursts[link] = max(bursts.get(link, 0.0), (limit or math.inf) * downtime_s)
        return {link: used[link] + bursts[link] for link in used}

    def check(self) -> None:
        """No link carries more than it might when the present pass began."""
        for link, used in self.used().items():
            allowed = self.allowed_mib_s.get(link, math.inf)
            # QEMU takes no less than 1 MiB/s: a link that is left less than that for each is passed by it.
            floor = 1.3 * sum(link in self.links.path(one.source, one.target) for one in self.running())
            assert used <= max(allowed, floor) + 1e-6, f"{link}: {used} of {allowed}"

    def running(self) -> list[Migrate]:
        return [self.steps[name] for name in self.limits]


def budgets_of(caps: Mapping[str, int], night_mib_s: int) -> list[BudgetSettings]:
    """A budget out of each host, one on the uplink, and another for the cluster at night."""
    made = [BudgetSettings(BudgetScope.HOST_OUT, mbit_s(cap), host) for host, cap in caps.items()]
    made.append(BudgetSettings(BudgetScope.LINK, mbit_s(60), "up"))
    made.append(BudgetSettings(BudgetScope.CLUSTER, mbit_s(200)))
    return [*made, BudgetSettings(BudgetScope.CLUSTER, mbit_s(night_mib_s), "", start=time(22, 0), end=time(6, 0))]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries({host: st.integers(9, 100) for host in HOSTS}),
    st.integers(20, 150),
    st.lists(
        st.tuples(st.sampled_from(["start", "end", "hours", "silent", "answers", "pass"]), st.integers(0, 99)),
        min_size=3,
        max_size=25,
    ),
)
def test_no_budget_is_passed_at_any_moment(
    caps: dict[str, int], night_mib_s: int, events: list[tuple[str, int]]
) -> None:
    """After every single call: what runs, with the largest switch-over, stays within every budget that counted then.

    A host that does not answer keeps the limit it has; a window that opens counts from the pass that sees it, and binds
    what can be told.
    """
    clock = ManualClock()
    links = Links(dict.fromkeys(HOSTS, 10000.0), [LinkSettings("up", 1000.0, HOSTS[:2])], budgets_of(caps, night_mib_s))
    jobs = Jobs(clock, links)
    share = Bandwidth(jobs, lambda: links, clock, 0, 8)
    number = 0
    for what, dice in events:
        match what:
            case "start":
                number += 1
                source, target = HOSTS[dice % 4], HOSTS[(dice + 1 + dice // 4 % 3) % 4]
                step = migrate(f"s{number}", f"g{number}", source, target)
                running = [(one, DOWN_S) for one in jobs.running()]
                jobs.allowed_mib_s = allowed_now(jobs, clock)
                if source not in jobs.silent and share.why_wait(step, running) is None:
                    limit = share.make_room(step, DOWN_S, running)
                    if limit is not None:
                        jobs.start(step, limit)
            case "end" if jobs.limits:
                jobs.limits.pop(sorted(jobs.limits)[dice % len(jobs.limits)])
            case "hours":
                clock.elapsed_s += 3600.0 * (dice % 24)
            case "silent":
                jobs.silent.add(HOSTS[dice % 4])
            case "answers":
                jobs.silent.clear()
        jobs.allowed_mib_s = allowed_now(jobs, clock)
        share.share([(one, DOWN_S) for one in jobs.running()], list(jobs.limits))
        if not jobs.silent:
            jobs.allowed_mib_s = links.budget_mib_s(clock.now())
            jobs.check()


def allowed_now(jobs: Jobs, clock: ManualClock) -> dict[str, float]:
    """The budgets that count now, or what is in use already where a window has just lowered them."""
    used = jobs.used()
    return {link: max(cap, used.get(link, 0.0)) for link, cap in jobs.links.budget_mib_s(clock.now()).items()}


def one_budget(mib_s: float, **window: time) -> tuple[Jobs, Bandwidth]:
    """Jobs under one budget of what leaves h1 (with a window: 40 MiB/s outside)."""
    clock = ManualClock()
    made = [BudgetSettings(BudgetScope.HOST_OUT, mbit_s(40.0 if window else mib_s), "h1")]
    if window:
        made.append(BudgetSettings(BudgetScope.HOST_OUT, mbit_s(mib_s), "h1", **window))  # type: ignore[arg-type]
    links = Links(dict.fromkeys(HOSTS, math.inf), (), made)
    jobs = Jobs(clock, links)
    return jobs, Bandwidth(jobs, lambda: links, clock, 0, 8)


def begin(jobs: Jobs, share: Bandwidth, number: int) -> bool:
    """Start one more migration away from h1, if it may."""
    step = migrate(f"s{number}", f"g{number}", "h1", HOSTS[1 + number % 3])
    running = [(one, 0.0) for one in jobs.running()]
    if share.why_wait(step, running) is not None:
        return False
    limit = share.make_room(step, 0.0, running)
    assert limit is not None
    jobs.start(step, limit)
    return True


def test_equal_shares_that_grow_when_one_ends() -> None:
    """Three leaving one host get a third each, and when one has ended the other two a half."""
    jobs, share = one_budget(40.0)
    assert all(begin(jobs, share, number) for number in (1, 2, 3))
    assert jobs.limits == {"s1": 13, "s2": 13, "s3": 13}
    del jobs.limits["s2"]
    share.share([(one, 0.0) for one in jobs.running()], [])
    assert jobs.limits == {"s1": 20, "s3": 20}


def test_what_would_get_too_little_waits() -> None:
    """With 40 MiB/s five get 8 each; a sixth would press all under the least of 8."""
    jobs, share = one_budget(40.0)
    assert [begin(jobs, share, number) for number in range(6)] == [True] * 5 + [False]
    assert set(jobs.limits.values()) == {8}


def test_a_narrow_link_carries_one_at_a_time() -> None:
    """A budget of 5 MiB/s is under the least; one migration still goes, and a second waits for it."""
    jobs, share = one_budget(5.0)
    assert [begin(jobs, share, number) for number in (1, 2)] == [True, False]
    assert jobs.limits == {"s1": 5}


def test_others_shrink_before_one_starts() -> None:
    """The running job is told first: never is the sum above the budget, not even between two calls."""
    jobs, share = one_budget(40.0)
    begin(jobs, share, 1)
    assert jobs.limits == {"s1": 40}
    begin(jobs, share, 2)
    assert jobs.calls == [("s1", 20)]
    assert jobs.limits == {"s1": 20, "s2": 20}


def test_nothing_starts_on_what_a_silent_host_may_still_be_using() -> None:
    """A job that cannot be told to shrink keeps its share, and the new one gets the rest or waits."""
    jobs, share = one_budget(40.0)
    begin(jobs, share, 1)
    jobs.silent.add("h1")
    step = migrate("s2", "g2", "h1", "h2")
    assert share.make_room(step, 0.0, [(one, 0.0) for one in jobs.running()]) is None


def test_a_copy_of_disks_keeps_its_share() -> None:
    """It is never told another; the others divide what it leaves, and a window that opens does not let it go unseen."""
    jobs, share = one_budget(20.0, start=time(13, 0), end=time(14, 0))
    begin(jobs, share, 1)
    copying = replace(migrate("s2", "g2", "h1", "h2"), local_disks=("vda",))
    limit = share.make_room(copying, 0.0, [(one, 0.0) for one in jobs.running()])
    assert limit == 20
    jobs.start(copying, limit)
    assert begin(jobs, share, 3)
    assert jobs.limits == {"s1": 10, "s2": 20, "s3": 10}
    jobs.clock.elapsed_s += 3660
    share.share([(one, 0.0) for one in jobs.running()], ["s2"])
    assert jobs.limits == {"s1": 1, "s2": 20, "s3": 1}
    assert not begin(jobs, share, 4)
    assert "s2" not in {name for name, _ in jobs.calls}


def test_a_window_lowers_and_raises_what_runs() -> None:
    """From the first pass inside it the lower budget counts, from the first one after it the other again."""
    jobs, share = one_budget(20.0, start=time(13, 0), end=time(14, 0))
    begin(jobs, share, 1)
    begin(jobs, share, 2)
    running = [(one, 0.0) for one in jobs.running()]
    seen = []
    for hours in (0.5, 0.6, 0.6):
        jobs.clock.elapsed_s += hours * 3600
        share.share(running, [])
        seen.append((jobs.clock.now() - START, dict(jobs.limits)))
    assert [limits for _, limits in seen] == [{"s1": 20, "s2": 20}, {"s1": 10, "s2": 10}, {"s1": 10, "s2": 10}]
    jobs.clock.elapsed_s += timedelta(hours=1).total_seconds()
    share.share(running, [])
    assert jobs.limits == {"s1": 20, "s2": 20}


def test_an_adopted_migration_is_told_its_share() -> None:
    """Another process began it with a limit that nobody here knows: it is told at once."""
    jobs, share = one_budget(40.0)
    jobs.limits, step = {"s1": 39}, migrate("s1", "g1", "h1", "h2")
    jobs.steps = {"s1": step}
    share.share([(step, 0.0)], [])
    assert jobs.calls == [("s1", 40)]
    share.share([(step, 0.0)], [])
    assert jobs.calls == [("s1", 40)]


def test_a_job_is_told_once_more_when_its_memory_begins_to_flow() -> None:
    """What it was told while it was prepared may have been overwritten by what it was started with."""
    jobs, share = one_budget(40.0)
    begin(jobs, share, 1)
    running = [(one, 0.0) for one in jobs.running()]
    share.share(running, [])
    assert jobs.calls == []
    for _ in range(3):
        share.share(running, ["s1"])
    assert jobs.calls == [("s1", 40)]


def test_a_job_is_told_again_now_and_then() -> None:
    """A second try of the same migration begins with what the first was told; a lost word is made good."""
    jobs, share = one_budget(40.0)
    begin(jobs, share, 1)
    running = [(one, 0.0) for one in jobs.running()]
    for _ in range(30):
        jobs.clock.elapsed_s += 1.0
        share.share(running, [])
    assert jobs.calls == [("s1", 40)] * 2


def test_without_budgets_nothing_is_limited() -> None:
    """A cluster without any known bound: started without a limit."""
    clock = ManualClock()
    jobs = Jobs(clock, Links({}))
    share = Bandwidth(jobs, lambda: Links({}), clock, 0, 8)
    begin(jobs, share, 1)
    assert jobs.limits == {"s1": 0}


@pytest.mark.parametrize(("cap", "limit"), [(0, 40), (30, 30), (50, 40)])
def test_one_migrations_own_cap_holds_too(cap: int, limit: int) -> None:
    """The lower of its cap and its share counts."""
    jobs, share = one_budget(40.0)
    capped = Bandwidth(jobs, share._links, jobs.clock, cap, 8)
    begin(jobs, capped, 1)
    assert jobs.limits == {"s1": limit}
