"""What is wanted of a placement, as data: goals, and rules lowered to a few primitive forms the solver knows.

Policies make a `Problem`; `scheduler/` answers with a `Proposal`. Forms name guests by id and hosts by cell, so the
solver knows no rule kind. What a form counts as broken is said in its docstring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.limits import Limits
from cluster.plan import Status, TierValue
from cluster.rules import Enforcement
from cluster.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseForm:
    """What every form carries: the rule it stands for, its enforcement and its weight when soft."""

    rule: str
    enforcement: Enforcement = Enforcement.REPAIR
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMask(BaseForm):
    """Guests may be only on `hosts`. Broken: each guest elsewhere. (pin, forbid)."""

    guests: tuple[str, ...]
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApartInCells(BaseForm):
    """At most one of the guests per cell; `cell_of_host` has every host. Broken: each pair in one. (anti_affinity)."""

    guests: tuple[str, ...]
    cell_of_host: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TogetherInCell(BaseForm):
    """All guests in one cell. Broken: each pair apart. (affinity)."""

    guests: tuple[str, ...]
    cell_of_host: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLeastCells(BaseForm):
    """The guests occupy at least `at_least` cells. Broken: each cell missing. (spread)."""

    guests: tuple[str, ...]
    cell_of_host: Mapping[str, str]
    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinCellsOf(BaseForm):
    """Each guest shares its cell with some guest of `to` other than itself. Broken: each guest without. (near)."""

    guests: tuple[str, ...]
    to: tuple[str, ...]
    cell_of_host: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLimit(BaseForm):
    """At most `at_most` migrations of these guests in the plan, parking included. Always binds. (group_move_limit)."""

    guests: tuple[str, ...]
    at_most: int


Form = HostMask | ApartInCells | TogetherInCell | AtLeastCells | WithinCellsOf | MoveLimit


@dataclass(frozen=True, slots=True)
class BalanceGoal:
    """I + price x I0 x GiB moved / GiB of all guests; I = sum over `hosts`, CPU and memory of (u - U)^2.

    `hosts` are the usable ones; U counts the guests on `hosts` and those on `emptied` (drained hosts, whose guests
    will come). Nothing is proposed while the RMS of (u - U) is under `rms_threshold`, unless repair is needed.
    """

    hosts: tuple[str, ...]
    price: float
    rms_threshold: float
    emptied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsolidateGoal:
    """Watts over `horizon_s` of the hosts that stay on, plus energy of moves and of sleeping and waking, as mean watts.

    Only `may_sleep` hosts can be emptied and put to sleep. Hosts that stay on keep `headroom_ratio` of each limit free
    where a guest is added; at least `reserve_hosts` usable hosts beyond the need stay on (counted as empty-able room),
    and `awake_at_least` of them. Without the `host_losses` largest of them (or any one cell of `lost_domain`) the
    limits still hold all guests, in the sum.

    With `planned_millicores` (by guest; of those not named their use) head-room of CPU and losses are reckoned with
    these, and hosts that they fill beyond `relief_ratio` of the limit count as overloaded. They are parts of hosts'
    peaks: the reserve is beyond `total_millicores`, the peak of all together, where that is less than their sum.
    """

    hosts: tuple[str, ...]
    may_sleep: tuple[str, ...]
    horizon_s: float
    headroom_ratio: float
    reserve_hosts: int
    move_joules_per_gib: float
    awake_at_least: int = 0
    host_losses: int = 0
    lost_domain: str = ""
    relief_ratio: float = 1.0
    planned_millicores: Mapping[str, int] | None = None
    total_millicores: int | None = None


@dataclass(frozen=True, slots=True)
class DrainGoal:
    """Guests left on the drained hosts, then `balance` over the others."""

    drained: tuple[str, ...]
    balance: BalanceGoal


@dataclass(frozen=True, slots=True)
class RepairGoal:
    """Only mend broken rules and overload, with the fewest GiB moved."""


Goal = BalanceGoal | ConsolidateGoal | DrainGoal | RepairGoal


@dataclass(frozen=True, slots=True)
class Problem:
    """All a solver needs: the snapshot, the limits, who may move and where, forms and the goal.

    `movable` guests may be proposed for a move; `targets` are hosts that take guests; `allowed[g]` narrows a movable
    guest's targets to the hosts it is compatible with (its present host is always allowed). `why_fixed[g]` says why a
    guest is not movable as (code, sentence). `max_moves` caps migrations, parking included.
    """

    policy: str
    level: int
    snapshot: Snapshot
    limits: Limits
    movable: tuple[str, ...]
    targets: tuple[str, ...]
    allowed: Mapping[str, frozenset[str]]
    forms: tuple[Form, ...]
    goal: Goal
    why_fixed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    max_moves: int | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """The solver's answer: where every guest should be, hosts to put to sleep, and value and proven bound per tier.

    `blamed` names the rules or limits that make a problem infeasible. Values are those of `Problem.goal`'s tiers.
    """

    status: Status
    why: str
    placement: Mapping[str, str]
    values: tuple[TierValue, ...]
    asleep: tuple[str, ...] = ()
    blamed: tuple[str, ...] = ()
    solve_s: float = 0.0
