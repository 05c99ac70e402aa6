"""What a caller asks of a policy beside the snapshot. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.config.settings import ConsolidateSettings
from cluster.errors import InputError
from cluster.limits import Limits


@dataclass(frozen=True, slots=True)
class Level:
    """How eager a level is: balance starts at an RMS over `rms_threshold`; `price` weighs the memory moved."""

    rms_threshold: float
    price: float


LEVELS: dict[int, Level | None] = {
    1: None,
    2: Level(rms_threshold=0.15, price=4.0),
    3: Level(rms_threshold=0.08, price=1.0),
    4: Level(rms_threshold=0.04, price=0.25),
    5: Level(rms_threshold=0.0, price=0.0),
}
"""The levels of the contract; `None` is repair only."""

MOST_CAUTIOUS = Level(rms_threshold=0.15, price=4.0)
"""What a drain balances by at level 1, where balance alone does nothing."""


@dataclass(frozen=True, slots=True)
class PowerTerms:
    """What the energy policy says of one consolidation: who may sleep now, and what guests are planned to use.

    `may_sleep` hosts are allowed to; at least `awake_at_least` usable ones stay on. `planned_millicores` by guest are
    parts of hosts' peaks; `total_millicores` is the peak of all guests together (`None`: the sum of the parts).
    """

    may_sleep: frozenset[str]
    awake_at_least: int
    planned_millicores: Mapping[str, int]
    total_millicores: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A caller's wishes.

    `drained` hosts are emptied and take nothing. `frozen` guests may not move, each with (code, sentence). Without
    `power` all controllable hosts may sleep, and guests are planned at their present use.
    `max_moves` caps migrations. Raises `InputError` for a level or cap out of range.
    """

    limits: Limits = Limits()
    consolidate: ConsolidateSettings = ConsolidateSettings()
    level: int = 3
    drained: tuple[str, ...] = ()
    max_moves: int | None = None
    frozen: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    power: PowerTerms | None = None

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise InputError(f"level: found {self.level}; allowed: 1 to 5")
        if self.max_moves is not None and self.max_moves < 0:
            raise InputError(f"max_moves: found {self.max_moves}; allowed: 0 and more")
