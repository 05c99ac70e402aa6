"""What every rule has: a name, how it is enforced, and a weight when it is soft."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Enforcement(StrEnum):
    """How a rule binds.

    REPAIR: mended when broken, never made worse, never newly broken. HARD: no plan at all while it cannot hold.
    SOFT: a goal with a weight.
    """

    REPAIR = "repair"
    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRule:
    """Common fields of all rules. `name` is unique in a cluster."""

    kind: ClassVar[str]
    name: str
    enforcement: Enforcement = Enforcement.REPAIR
    weight: float = 1.0

    @property
    def title(self) -> str:
        """How reasons name the rule: `kind:name`."""
        return f"{self.kind}:{self.name}"
