"""One thing that `trimtab doctor` looked at. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """`unreachable`: something needed does not answer; `refuses`: acting would be refused; `remark`: worth knowing."""

    FINE = "ok"
    REMARK = "remark"
    REFUSES = "refuses"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing looked at: what was found, and what to do about it (empty when fine)."""

    grade: Grade
    about: str
    text: str
    todo: str = ""
