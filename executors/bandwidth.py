"""The links shared among running migrations: divided anew whenever one starts or ends or a budget changes.

What has to shrink shrinks before anything else grows or starts, so that no budget is passed in between. Only what was
told to the running jobs is kept here: after a crash it is told to all of them again.

A migration that copies local disks keeps the share it starts with to its end: libvirt lets nobody change the speed of
its copies (up to 9.0 at least a blockJobSetSpeed waits until the migration is over). The others divide what is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cluster.clock import Clock
from cluster.errors import StepError, UnreachableError
from cluster.migration.links import MIB_S_PER_MBIT_S, Flow, Links
from cluster.migration.shares import NONE, shares_mib_s, whole_mib_s
from cluster.plan import Migrate
from executors.protocol import MigrationExecutor

LONGEST_BURST_S = 1.0
"""Allowed downtime that is counted for a switch-over at most: a link's second holds no more of it."""

AGAIN_S = 10.0
"""How often a job is told its limit although nothing has changed: a new try of its migration knows nothing of it."""

Running = Sequence[tuple[Migrate, float]]
"""Migrations under way, each with its guest's allowed downtime in seconds."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a job was told last, and when on the monotonic clock."""

    limit_mib_s: int
    at_s: float


class Bandwidth:
    """Keeps running migrations within the budgets through the speed control of their jobs.

    `links` gives the cluster's links as they are configured and known now; `most_mib_s` is the cap of one migration
    (`NONE`: none); no migration is begun beside others that would get less than `least_mib_s` or leave less to them.
    """

    def __init__(
        self,
        migrations: MigrationExecutor,
        links: Callable[[], Links],
        clock: Clock,
        most_mib_s: int,
        least_mib_s: int,
    ) -> None:
        self._migrations = migrations
        self._links = links
        self._clock = clock
        self._most_mib_s = most_mib_s
        self._any_least_mib_s = least_mib_s
        self._told: dict[str, _Told] = {}
        self._flowing: set[str] = set()
        self._refused: dict[tuple[str, ...], tuple[float, str]] = {}
        self._shared_last: tuple[object, dict[str, float]] | None = None

    def clear(self) -> None:
        """Forget what was told to running jobs: another process may have told them something else."""
        self._told.clear()
        self._flowing.clear()

    def share(self, running: Running, flowing: Iterable[str]) -> None:
        """Divide the links among what runs, and tell it to the jobs it changes something for.

        `flowing` are the steps that have sent something: only from then on does a job keep to what it is told, so that
        it is told once more then.
        """
        now_s, ids = self._clock.monotonic_s(), {step.id for step, _ in running}
        self._told = {one: told for one, told in self._told.items() if one in ids}
        begun = ids & set(flowing) - self._flowing
        self._flowing = (self._flowing | begun) & ids
        again = begun | {
            one for one, told in self._told.items() if told.limit_mib_s != NONE and now_s - told.at_s > AGAIN_S
        }
        self._refused.clear()
        before = dict(self._told)
        fixed = self._fixed(running)
        wanted, _ = self._lowered(running, running)
        for step, _ in running:
            told = self._told.get(step.id)
            is_new = told is None or told.limit_mib_s != wanted[step.id]
            if is_new or (step.id in again and step.id not in fixed and told is before.get(step.id)):
                self._tell(step, wanted[step.id])

    def why_wait(self, step: Migrate, running: Running) -> str | None:
        """Say why a migration has to wait for bandwidth. `None`: there is enough for it and for those under way.

        A link that gives even a single migration less than the least still carries one at a time. What was refused a
        place on a path is not weighed again before the next `share`.
        """
        path, least_mib_s = self._links().path(step.source, step.target), self._least_mib_s(step)
        if (refused := self._refused.get(path)) is None or refused[0] > least_mib_s:
            if (why := self._why_wait(step, running)) is None:
                return None
            refused = self._refused[path] = least_mib_s, why
        return refused[1]

    def _why_wait(self, step: Migrate, running: Running) -> str | None:
        """Weigh it as schedules do, by even shares; what is kept for switch-overs comes off them afterwards."""
        fixed = self._fixed(running)
        after = self._shares((*running, (step, 0.0)), fixed, with_bursts=False)
        alone = self._shares(((step, 0.0),), {}, with_bursts=False)
        if _is_under(after[step.id], self._least_mib_s(step), alone[step.id]):
            return f"its share of the bandwidth would be under {self._least_mib_s(step):.0f} MiB/s"
        before = self._shares(running, fixed, with_bursts=False)
        for other, _ in running:
            if other.id not in fixed and _is_under(after[other.id], self._least_mib_s(other), before[other.id]):
                title = other.guest_name or other.guest
                return f"the share of {title} would fall under {self._least_mib_s(other):.0f} MiB/s"
        return None

    def make_room(self, step: Migrate, downtime_s: float, running: Running) -> int | None:
        """Lower what runs, and return the limit that a migration is to start with.

        `None`: it has to wait, since a job that would have to shrink for it cannot be reached.
        """
        wanted, stuck = self._lowered(running, (*running, (step, downtime_s)))
        if stuck:
            return None
        self._told[step.id] = _Told(wanted[step.id], self._clock.monotonic_s())
        return wanted[step.id]

    def _least_mib_s(self, step: Migrate) -> float:
        """Return the least that is worth having: what any migration should have, or what the plan counts on."""
        return max(float(self._any_least_mib_s), (step.estimate.least_mbit_s or 0) * MIB_S_PER_MBIT_S)

    def limit_mib_s(self, step: Migrate) -> int:
        """Return the limit that a running migration was told last; the cap of any where it was told none yet."""
        told = self._told.get(step.id)
        return self._most_mib_s if told is None else told.limit_mib_s

    def _fixed(self, running: Running) -> dict[str, int]:
        """Return the limits that cannot be changed any more: of what copies disks."""
        told = {step.id: self._told.get(step.id) for step, _ in running if step.local_disks}
        return {one: was.limit_mib_s for one, was in told.items() if was is not None and was.limit_mib_s != NONE}

    # -- dividing --------------------------------------------------------------------------------------------------
    def _lowered(self, running: Running, everyone: Running) -> tuple[dict[str, int], dict[str, int]]:
        """Lower all jobs that have to shrink; return what everyone is to have, and what those keep that cannot be told.

        They are `running`, and `everyone` with what is about to start.
        """
        stuck: dict[str, int] = {}
        fixed = self._fixed(running)
        while True:
            wanted = self._divided(everyone, {**fixed, **stuck})
            failed = [
                step
                for step, _ in running
                if step.id not in stuck
                and step.id not in fixed
                and _is_less(wanted[step.id], self._told.get(step.id))
                and not self._tell(step, wanted[step.id])
            ]
            if not failed:
                return wanted, stuck
            for step in failed:
                told = self._told.get(step.id)
                stuck[step.id] = wanted[step.id] if told is None else told.limit_mib_s

    def _divided(self, migrations: Running, stuck: Mapping[str, int]) -> dict[str, int]:
        """Return each migration's limit in whole MiB/s, those `stuck` at theirs.

        Where nothing but its hosts' wires bounds it, it has only its own cap: wires divide themselves, and sooner. One
        that copies disks has its share all the same, which a budget that opens later can then count on.
        """
        links = self._links()
        budget = links.budget_mib_s(self._clock.now())
        shares = self._shares(migrations, stuck)
        limits = dict(stuck)
        for step, _ in migrations:
            if step.id not in stuck:
                path = links.path(step.source, step.target)
                is_shared = any(one.startswith("link:") or budget.get(one, math.inf) < math.inf for one in path)
                is_shared = is_shared or (bool(step.local_disks) and math.isfinite(shares[step.id]))
                limits[step.id] = whole_mib_s(shares[step.id]) if is_shared else self._most_mib_s
        return limits

    def _shares(self, migrations: Running, stuck: Mapping[str, int], *, with_bursts: bool = True) -> dict[str, float]:
        """Return each migration's share in MiB/s, `stuck` ones left out and what they have taken off."""
        links, now = self._links(), self._clock.now()
        capacity, budget = dict(links.capacity_mib_s(now)), dict(links.budget_mib_s(now))
        flows: list[Flow] = []
        downtimes = {step.id: min(downtime_s, LONGEST_BURST_S) for step, downtime_s in migrations}
        for step, _ in migrations:
            path = links.path(step.source, step.target)
            for link in path:
                # A host that nothing is known of, any more or yet, has a link without a known bound.
                capacity.setdefault(link, math.inf)
                if step.id in stuck:
                    capacity[link] = max(0.0, capacity[link] - stuck[step.id])
                    with_burst = stuck[step.id] * (1 + downtimes[step.id])
                    budget[link] = max(0.0, budget.get(link, math.inf) - with_burst)
            if step.id not in stuck:
                flows.append(Flow(step.id, path, float(self._most_mib_s) if self._most_mib_s != NONE else None))
        if not with_bursts:
            return shares_mib_s(flows, {}, capacity, budget)
        asked = flows, downtimes, capacity, budget
        if self._shared_last is None or self._shared_last[0] != asked:
            self._shared_last = asked, shares_mib_s(*asked)
        return self._shared_last[1]

    def _tell(self, step: Migrate, limit_mib_s: int) -> bool:
        with suppress(UnreachableError, StepError):
            self._migrations.set_limit(step, limit_mib_s)
            self._told[step.id] = _Told(limit_mib_s, self._clock.monotonic_s())
            return True
        return False


def _is_less(limit_mib_s: int, told: _Told | None) -> bool:
    """Whether a limit is lower than what was told, `NONE` being above all; than one unknown, any may be."""
    if limit_mib_s == NONE:
        return False
    return told is None or told.limit_mib_s == NONE or limit_mib_s < told.limit_mib_s


def _is_under(share_mib_s: float, least_mib_s: float, possible_mib_s: float) -> bool:
    """Whether a share is less than the least, or than what is possible where that is less."""
    return share_mib_s < min(least_mib_s, possible_mib_s) * (1 - 1e-6)
