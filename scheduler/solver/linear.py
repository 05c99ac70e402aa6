"""A CP-SAT model under construction: variables as numbers, constraints written straight into the model's message.

Every variable is made with its value in the placement the model is built from, so that the whole model has a start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ortools.sat.python import cp_model

LEAST, MOST = -(1 << 63), (1 << 63) - 1


@dataclass(slots=True)
class Linear:
    """A linear expression under construction: sum of coefficient x variable, plus a constant."""

    constant: int = 0
    terms: dict[int, int] = field(default_factory=dict)

    def add(self, variable: int, coefficient: int = 1) -> None:
        """Add coefficient x variable."""
        if coefficient:
            self.terms[variable] = self.terms.get(variable, 0) + coefficient

    def join(self, other: Linear, factor: int = 1) -> Linear:
        """Add factor x another expression and return this one."""
        self.constant += factor * other.constant
        for variable, coefficient in other.terms.items():
            self.add(variable, factor * coefficient)
        return self

    def scaled(self, factor: int, plus: int = 0) -> Linear:
        """Return factor x this expression + `plus`, as a new one."""
        return Linear(plus).join(self, factor)


class Program:
    """Variables, constraints and an objective; `start[v]` is the value of variable v to begin with."""

    def __init__(self) -> None:
        self.model = cp_model.CpModel()
        self.start: list[int] = []
        self._range: list[tuple[int, int]] = []
        self._proto: Any = self.model.proto

    # Variables

    def integer(self, least: int, most: int, start: int) -> int:
        """Make a variable from `least` to `most`."""
        self._proto.variables.add().domain.extend((least, most))
        self._range.append((least, most))
        self.start.append(start)
        return len(self.start) - 1

    def boolean(self, start: bool | int) -> int:
        """Make a variable of 0 or 1."""
        return self.integer(0, 1, int(start))

    def at_start(self, expression: Linear) -> int:
        """Return the value of an expression at the start."""
        return self.value(expression, self.start)

    def value(self, expression: Linear, values: Sequence[int]) -> int:
        """Return the value of an expression for values of all variables."""
        return expression.constant + sum(factor * values[one] for one, factor in expression.terms.items())

    def least(self, expression: Linear) -> int:
        """Return a lower bound of an expression, from the ranges of its variables alone."""
        ends = (factor * self._range[one][factor < 0] for one, factor in expression.terms.items())
        return expression.constant + sum(ends)

    def most(self, expression: Linear) -> int:
        """Return an upper bound of an expression, from the ranges of its variables alone."""
        ends = (factor * self._range[one][factor > 0] for one, factor in expression.terms.items())
        return expression.constant + sum(ends)

    # Constraints

    def keep(
        self, expression: Linear, least: int | None = None, most: int | None = None, only_if: int | None = None
    ) -> None:
        """Keep an expression within bounds, only while the boolean `only_if` is true where one is given."""
        constraint = self._proto.constraints.add()
        if only_if is not None:
            constraint.enforcement_literal.append(only_if)
        constraint.linear.vars.extend(expression.terms.keys())
        constraint.linear.coeffs.extend(expression.terms.values())
        constraint.linear.domain.extend(
            (
                LEAST if least is None else least - expression.constant,
                MOST if most is None else most - expression.constant,
            )
        )

    def same(self, one: Linear, other: Linear) -> None:
        """Keep two expressions equal."""
        self.keep(other.scaled(-1).join(one), 0, 0)

    def share_out(self, count: int, variables: Iterable[int]) -> None:
        """Let variables of 0 and more sum to a count; for 1 they are booleans of which one is true."""
        if count == 1:
            self._proto.constraints.add().exactly_one.literals.extend(variables)
        else:
            self.keep(Linear(0, dict.fromkeys(variables, 1)), count, count)

    def needs(self, variable: int, condition: int) -> None:
        """Let a variable of 0 and more be above 0 only while a boolean is true."""
        most = self._range[variable][1]
        if most > 1:
            self.keep(Linear(0, {variable: 1, condition: -most}), most=0)
            return
        constraint = self._proto.constraints.add()
        constraint.enforcement_literal.append(variable)
        constraint.bool_and.literals.append(condition)

    def square(self, root: int) -> int:
        """Make the square of a variable."""
        least, most = self._range[root]
        lowest = 0 if least <= 0 <= most else min(least * least, most * most)
        square = self.integer(lowest, max(least * least, most * most), self.start[root] ** 2)
        product = self._proto.constraints.add().int_prod
        _set(product.target, square)
        for _ in range(2):
            _set(product.exprs.add(), root)
        return square

    def look_up(self, table: Sequence[int], index: int) -> int:
        """Make the variable that is `table[index]`."""
        found = self.integer(min(table), max(table), table[self.start[index]])
        element = self._proto.constraints.add().element
        _set(element.linear_index, index)
        _set(element.linear_target, found)
        for one in table:
            element.exprs.add().offset = one
        return found

    # Objective and hints

    def minimise(self, expression: Linear) -> None:
        """Set what is to be made least; the constant is left out."""
        self._proto.clear_objective()
        self._proto.objective.vars.extend(expression.terms.keys())
        self._proto.objective.coeffs.extend(expression.terms.values())

    def begin_at_start(self) -> None:
        """Hint every variable's start to the solver."""
        self._proto.clear_solution_hint()
        self._proto.solution_hint.vars.extend(range(len(self.start)))
        self._proto.solution_hint.values.extend(self.start)


def _set(expression: Any, variable: int) -> None:
    expression.vars.append(variable)
    expression.coeffs.append(1)
