"""The links shared among running migrations: divided anew whenever one starts or ends or a budget changes.

What has to shrink shrinks before anything else grows or starts, so that no budget is passed in between. Only what was
told to the running jobs is kept here: after a crash it is told to all of them again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from cluster.clock import Clock
from cluster.errors import StepError, UnreachableError
from cluster.migration.links import Flow, Links
from cluster.migration.shares import NONE, shares_mib_s, whole_mib_s
from cluster.plan import Migrate
from executors.protocol import MigrationExecutor

LONGEST_BURST_S = 1.0
"""Allowed downtime that is counted for a switch-over at most: a link's second holds no more of it."""

Running = Sequence[tuple[Migrate, float]]
"""Migrations under way, each with its guest's allowed downtime in seconds."""


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
        self._least_mib_s = least_mib_s
        self._told: dict[str, int] = {}
        self._flowing: set[str] = set()
        self._divided_last: tuple[object, dict[str, float]] | None = None

    def clear(self) -> None:
        """Forget what was told to running jobs: another process may have told them something else."""
        self._told.clear()
        self._flowing.clear()

    def share(self, running: Running, flowing: Iterable[str]) -> None:
        """Divide the links among what runs, and tell it to the jobs it changes something for.

        `flowing` are the steps that have sent something: only from then on does a job keep to what it is told, so that
        it is told once more then.
        """
        ids = {step.id for step, _ in running}
        self._told = {one: told for one, told in self._told.items() if one in ids}
        for begun in sorted(ids & set(flowing) - self._flowing):
            self._told.pop(begun, None)
            self._flowing.add(begun)
        self._flowing &= ids
        wanted = self._lowered(running, None)
        for step, _ in running:
            if self._told.get(step.id) != wanted[step.id]:
                self._tell(step, wanted[step.id])

    def why_wait(self, step: Migrate, downtime_s: float, running: Running) -> str | None:
        """Say why a migration has to wait for bandwidth. `None`: there is enough for it and for those under way.

        A link that gives even a single migration less than the least still carries one at a time.
        """
        before = self._divided(running, {})
        after = self._divided((*running, (step, downtime_s)), {})
        alone = self._divided(((step, downtime_s),), {})[step.id]
        if _is_less(after[step.id], self._least(alone)):
            return f"its share of the bandwidth would be under migration.least_mib_s ({self._least_mib_s} MiB/s)"
        for other, _ in running:
            if _is_less(after[other.id], self._least(before[other.id])):
                title = other.guest_name or other.guest
                return f"the share of {title} would fall under migration.least_mib_s ({self._least_mib_s} MiB/s)"
        return None

    def _least(self, at_most_mib_s: int) -> int:
        return self._least_mib_s if at_most_mib_s == NONE else min(self._least_mib_s, at_most_mib_s)

    def make_room(self, step: Migrate, downtime_s: float, running: Running) -> int | None:
        """Lower what runs, and return the limit that a migration is to start with.

        `None`: there is too little left for it, since a job that has to shrink cannot be reached.
        """
        alone = self._divided(((step, downtime_s),), {})[step.id]
        limit_mib_s = self._lowered(running, (step, downtime_s))[step.id]
        if _is_less(limit_mib_s, self._least(alone)):
            return None
        self._told[step.id] = limit_mib_s
        return limit_mib_s

    def limit_mib_s(self, step: Migrate) -> int:
        """Return the limit that a running migration was told last; the cap of any where it was told none yet."""
        return self._told.get(step.id, self._most_mib_s)

    # -- dividing --------------------------------------------------------------------------------------------------
    def _lowered(self, running: Running, starting: tuple[Migrate, float] | None) -> dict[str, int]:
        """Lower all jobs that have to shrink, and return what every migration is to have.

        A job that cannot be told keeps what it has, and the others divide the rest.
        """
        everyone = running if starting is None else (*running, starting)
        stuck: dict[str, int] = {}
        while True:
            wanted = self._divided(everyone, stuck)
            failed = [
                step
                for step, _ in running
                if step.id not in stuck
                and _is_less(wanted[step.id], self._told.get(step.id))
                and not self._tell(step, wanted[step.id])
            ]
            if not failed:
                return wanted
            stuck |= {step.id: self._told.get(step.id, wanted[step.id]) for step in failed}

    def _divided(self, migrations: Running, stuck: Mapping[str, int]) -> dict[str, int]:
        """Return each migration's limit in whole MiB/s, those `stuck` at theirs."""
        links = self._links()
        now = self._clock.now()
        capacity, budget = dict(links.capacity_mib_s(now)), dict(links.budget_mib_s(now))
        flows: list[Flow] = []
        for step, _ in migrations:
            path = links.path(step.source, step.target)
            for link in path:
                # A host that nothing is known of, any more or yet, has a link without a known bound.
                capacity.setdefault(link, math.inf)
                if step.id in stuck:
                    capacity[link] = max(0.0, capacity[link] - stuck[step.id])
                    budget[link] = max(0.0, budget.get(link, math.inf) - stuck[step.id])
            if step.id not in stuck:
                flows.append(Flow(step.id, path, float(self._most_mib_s) if self._most_mib_s != NONE else None))
        downtimes = {step.id: min(downtime_s, LONGEST_BURST_S) for step, downtime_s in migrations}
        asked = flows, downtimes, capacity, budget
        if self._divided_last is None or self._divided_last[0] != asked:
            self._divided_last = asked, shares_mib_s(*asked)
        return {**stuck, **{step: whole_mib_s(share) for step, share in self._divided_last[1].items()}}

    def _tell(self, step: Migrate, limit_mib_s: int) -> bool:
        with suppress(UnreachableError, StepError):
            self._migrations.set_limit(step, limit_mib_s)
            self._told[step.id] = limit_mib_s
            return True
        return False


def _is_less(limit_mib_s: int, than_mib_s: int | None) -> bool:
    """Whether a limit is lower than another, `NONE` being above all; than one unknown, any may be."""
    if limit_mib_s == NONE:
        return False
    return than_mib_s is None or than_mib_s == NONE or limit_mib_s < than_mib_s
