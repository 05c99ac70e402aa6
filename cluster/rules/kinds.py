"""The rule kinds' data, one class each. What each counts as broken is said in its docstring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cluster.rules.base import BaseRule
from cluster.rules.selector import Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class AntiAffinity(BaseRule):
    """Selected guests stay in different cells of `domain`. Broken: each pair that shares a cell."""

    kind: ClassVar[str] = "anti_affinity"
    guests: Selector
    domain: str = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity(BaseRule):
    """Selected guests stay in one cell of `domain`. Broken: each pair that is apart."""

    kind: ClassVar[str] = "affinity"
    guests: Selector
    domain: str = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread(BaseRule):
    """Selected guests occupy at least `at_least` cells of `domain`. Broken: each cell missing (no guests: holds)."""

    kind: ClassVar[str] = "spread"
    guests: Selector
    domain: str
    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin(BaseRule):
    """Selected guests run only on the selected hosts. Broken: each guest elsewhere."""

    kind: ClassVar[str] = "pin"
    guests: Selector
    hosts: Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbid(BaseRule):
    """Selected guests never run on the selected hosts. Broken: each guest there."""

    kind: ClassVar[str] = "forbid"
    guests: Selector
    hosts: Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class Near(BaseRule):
    """Each selected guest shares its cell of `domain` with some guest of `to`. Broken: each guest without."""

    kind: ClassVar[str] = "near"
    guests: Selector
    to: Selector
    domain: str = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMoveLimit(BaseRule):
    """At most `at_most` migrations of selected guests per plan. A bound on plans; never broken by what is."""

    kind: ClassVar[str] = "group_move_limit"
    guests: Selector
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore(BaseRule):
    """Selected guests are never touched. A bound on plans; never broken by what is."""

    kind: ClassVar[str] = "ignore"
    guests: Selector


Rule = AntiAffinity | Affinity | Spread | Pin | Forbid | Near | GroupMoveLimit | Ignore
