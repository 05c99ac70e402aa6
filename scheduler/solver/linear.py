"""A linear expression under construction, before CP-SAT sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ortools.sat.python import cp_model


@dataclass
class Linear:
    """A linear expression under construction: sum of coefficient x variable, plus a constant."""

    constant: int = 0
    variables: list[Any] = field(default_factory=list)
    coefficients: list[int] = field(default_factory=list)

    def add(self, variable: Any, coefficient: int = 1) -> None:
        """Add coefficient x variable; a variable may be a plain integer."""
        if isinstance(variable, int):
            self.constant += coefficient * variable
        elif coefficient:
            self.variables.append(variable)
            self.coefficients.append(coefficient)

    def join(self, other: Linear, factor: int = 1) -> None:
        """Add factor x another expression."""
        self.constant += factor * other.constant
        self.variables += other.variables
        self.coefficients += [factor * one for one in other.coefficients]

    @property
    def expression(self) -> Any:
        """The expression as CP-SAT takes it."""
        return cp_model.LinearExpr.weighted_sum(self.variables, self.coefficients) + self.constant

    def most(self) -> int:
        """The greatest value if every variable is a boolean."""
        return self.constant + sum(one for one in self.coefficients if one > 0)
