"""A plan: ordered, checked steps from one snapshot to a better placement, each with cost and gain. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

DRAIN, EVACUATE = "drain", "evacuate"
BY_HAND = "by_hand"
"""Name of the policy of plans that put one host to sleep, or wake it, because a person asked."""
EMPTYING = (DRAIN, EVACUATE)
"""Policies that empty hosts: for maintenance, and because they fail."""


class Status(StrEnum):
    """The answer of a planning run. All four are values with reasons, never exceptions."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    NOTHING_TO_DO = "nothing_to_do"
    INFEASIBLE = "infeasible"


class StepState(StrEnum):
    """Outcome of a step. `unresolved`: it cannot be seen whether the guest runs; hands off, an operator decides."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    ABORTED = "aborted"
    UNRESOLVED = "unresolved"

    @property
    def is_final(self) -> bool:
        """Whether the step is over."""
        return self not in (StepState.WAITING, StepState.RUNNING)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a migration is expected to cost. `converges` is a probability; `note` says what was assumed.

    `mib_ratio` and `bandwidth_ratio` are factors learned from past migrations that are in these figures already;
    `None` where nothing was learned. Under `least_mbit_s` it would send much more, end less surely, or hold its slots
    for longer than the plan reckons with: nothing is started beside it that would leave it less, nor it beside others.
    """

    mib: int
    seconds: float
    downtime_ms: int
    converges: float
    mbit_s: int
    note: str = ""
    mib_ratio: float | None = None
    bandwidth_ratio: float | None = None
    least_mbit_s: int | None = None


@dataclass(frozen=True, slots=True)
class Migrate:
    """Live-migrate a guest. `parking`: a stop on the way, its final move follows in the same plan.

    `guest_memory_mib` and `guest_vcpus` are what the guest had when the plan was made, so that a resized one is found.
    `local_disks` names the disks that are copied with it.
    """

    id: str
    guest: str
    source: str
    target: str
    reason: str
    estimate: Estimate
    guest_name: str = ""
    after: tuple[str, ...] = ()
    parking: bool = False
    gain_share: float = 0.0
    guest_memory_mib: int | None = None
    guest_vcpus: int | None = None
    local_disks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sleep:
    """Put an empty host to sleep."""

    id: str
    host: str
    reason: str
    saves_watts: float = 0.0
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wake:
    """Wake a host."""

    id: str
    host: str
    reason: str
    after: tuple[str, ...] = ()


Step = Migrate | Sleep | Wake


@dataclass(frozen=True, slots=True)
class TierValue:
    """One goal tier: value before and after, and the proven bound given the tiers before it.

    gap = (after - bound) / max(before - bound, one unit); 0 when after equals bound.
    """

    tier: str
    before: float
    after: float
    bound: float
    gap: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Cluster figures over the hosts that are on, as ratios of (capacity - reserved); stdev is the population's."""

    hosts_on: int
    watts: float
    cpu_max: float
    cpu_stdev: float
    memory_max: float
    memory_stdev: float
    broken_rules: int


@dataclass(frozen=True, slots=True)
class NotMoved:
    """A guest that stays although moving it would have helped or was asked for: a stable code and a sentence."""

    guest: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps with `after` edges (a DAG), valid for the snapshot they were made from, until `expires_at`.

    `extra` keeps the `x_` keys of the file it came from, by path; nothing reads them.
    """

    id: str
    snapshot: str
    policy: str
    level: int
    seed: int
    made_at: datetime
    expires_at: datetime
    status: Status
    why: str
    goals: tuple[TierValue, ...]
    gap: float
    steps: tuple[Step, ...]
    before: Figures
    after: Figures
    blamed: tuple[str, ...] = ()
    not_moved: tuple[NotMoved, ...] = ()
    makespan_s: float = 0.0
    makespan_bound_s: float = 0.0
    moved_mib: int = 0
    solve_s: float = 0.0
    extra: Mapping[tuple[str, ...], object] = field(default_factory=dict, hash=False)

    @property
    def migrations(self) -> tuple[Migrate, ...]:
        """The plan's migrations, parking moves included, in plan order."""
        return tuple(step for step in self.steps if isinstance(step, Migrate))


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What the journal knows of one step: its state, when and by which fencing token it was last written, and details.

    `detail` is a sentence for people; `progress_ratio` and `mib` come from the running job's statistics.
    """

    state: StepState
    at: datetime
    token: int
    detail: str = ""
    progress_ratio: float = 0.0
    mib: int = 0
    downtime_ms: int | None = None


class PlanState(StrEnum):
    """Life of a plan in the journal. `waiting` for approval; `active` under way; `stopping` starts nothing more."""

    WAITING = "waiting"
    ACTIVE = "active"
    STOPPING = "stopping"
    ENDED = "ended"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """A plan as the journal holds it, with the record of every step, and why it ended or stops."""

    plan: Plan
    state: PlanState
    steps: dict[str, StepRecord]
    why: str = ""

    def step_state(self, step_id: str) -> StepState:
        """State of a step; `waiting` when nothing was written of it yet."""
        record = self.steps.get(step_id)
        return StepState.WAITING if record is None else record.state


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of the journal, in the order written: a step's change of state, or a plan's when `step` is empty."""

    at: datetime
    plan: str
    step: str
    state: str
    token: int
    detail: str = ""
