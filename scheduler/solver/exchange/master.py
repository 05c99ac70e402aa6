"""The master problem: how many hosts of each class make which exchange, as a linear and as an integer program.

Rows: of every shape as many guests enter as leave; moves and MiB within their caps; of a class no more exchanges than
it has hosts. Maximised is what hosts cost less, less the prices of moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ortools.linear_solver import pywraplp

from scheduler.solver.exchange.aggregate import Aggregate
from scheduler.solver.forms import Index, Ints

PART = 1e-7
"""Less of an exchange than this is none."""


@dataclass(frozen=True, eq=False, slots=True)
class Duals:
    """Prices of the relaxation: of a guest of each shape, a move and a MiB, and what each class is worth."""

    shape: list[float]
    move: float
    mib: float
    of_class: list[float]


class Columns:
    """Exchanges known so far: class `of` int64[n], `gain` int64[n] (less the prices of its moves), `pattern`
    int64[n, 2 kinds], what it lets out of each shape less what it takes in `net` int64[n, shapes], `moves`, `mib`.
    """

    def __init__(self, whole: Aggregate) -> None:
        self._whole = whole
        kinds = len(whole.shape)
        self.of = np.zeros(0, dtype=np.int64)
        self.gain = np.zeros(0, dtype=np.int64)
        self.pattern = np.zeros((0, 2 * kinds), dtype=np.int64)
        self.net = np.zeros((0, whole.shapes), dtype=np.int64)
        self.moves = np.zeros(0, dtype=np.int64)
        self.mib = np.zeros(0, dtype=np.int64)
        self._seen: set[bytes] = set()
        self._shape = np.zeros((kinds, whole.shapes), dtype=np.int64)
        self._shape[np.arange(kinds), whole.shape] = 1

    def __len__(self) -> int:
        return len(self.of)

    def add(self, of: Ints, pattern: Ints, saved: Ints) -> int:
        """Add exchanges by class, pattern and what the host costs less; return how many are new."""
        rows = np.concatenate((of[:, None], pattern), axis=1)
        fresh = []
        for i, row in enumerate(rows):
            key = row.tobytes()
            if key not in self._seen:
                self._seen.add(key)
                fresh.append(i)
        of, pattern, saved = of[fresh], pattern[fresh], saved[fresh]
        kinds = len(self._shape)
        left = pattern[:, :kinds] @ self._shape
        self.of = np.concatenate((self.of, of))
        self.gain = np.concatenate((self.gain, saved - left @ self._whole.price))
        self.pattern = np.concatenate((self.pattern, pattern))
        self.net = np.concatenate((self.net, left - pattern[:, kinds:] @ self._shape))
        self.moves = np.concatenate((self.moves, left.sum(axis=1)))
        self.mib = np.concatenate((self.mib, left @ self._whole.mib))
        return len(fresh)

    def reduced(self, duals: Duals) -> Ints:
        """What each is worth at these prices beyond what its class is, float64[n]."""
        priced = self.net @ np.array(duals.shape) + self.moves * duals.move + self.mib * duals.mib
        return np.asarray(self.gain - priced - np.array(duals.of_class)[self.of])


class _Program:
    """The rows of the master problem in a solver, and columns put into them."""

    def __init__(self, whole: Aggregate, engine: str) -> None:
        self.solver: Any = pywraplp.Solver.CreateSolver(engine)
        instance = whole.instance
        free = -self.solver.infinity()
        self.shapes = [self.solver.Constraint(0, 0) for _ in range(whole.shapes)]
        self.moves = self.solver.Constraint(free, min(instance.max_moves, len(instance.movable)))
        self.mib = self.solver.Constraint(free, min(instance.max_mib, int(instance.mib[instance.movable].sum())))
        self.classes = [self.solver.Constraint(free, many) for many in whole.classes.many.tolist()]
        self.variables: list[Any] = []
        self._many = whole.classes.many.tolist()
        self.solver.Objective().SetMaximization()

    def add(self, columns: Columns, chosen: Index, whole_numbers: bool) -> None:
        """Add a variable for each chosen column."""
        solver, objective = self.solver, self.solver.Objective()
        for one in chosen.tolist():
            of = int(columns.of[one])
            variable = (
                solver.IntVar(0, self._many[of], "") if whole_numbers else solver.NumVar(0, solver.infinity(), "")
            )
            self.variables.append(variable)
            objective.SetCoefficient(variable, float(columns.gain[one]))
            self.classes[of].SetCoefficient(variable, 1.0)
            net = columns.net[one]
            for shape in np.flatnonzero(net).tolist():
                self.shapes[shape].SetCoefficient(variable, float(net[shape]))
            if columns.moves[one]:
                self.moves.SetCoefficient(variable, float(columns.moves[one]))
            if columns.mib[one]:
                self.mib.SetCoefficient(variable, float(columns.mib[one]))


class Relaxation:
    """The linear program over the columns added so far."""

    def __init__(self, whole: Aggregate) -> None:
        self._program = _Program(whole, "GLOP")
        self._used = np.zeros(0, dtype=np.bool_)

    def add(self, columns: Columns, first: int) -> None:
        """Add the columns from `first` on."""
        self._program.add(columns, np.arange(first, len(columns)), False)

    def used(self) -> Index:
        """Return the columns that the last answer uses, in the order they were added."""
        return np.flatnonzero(self._used)

    def solve(self) -> tuple[float, Duals] | None:
        """Return the value and the prices, or `None` where the solver gave up."""
        program = self._program
        if program.solver.Solve() != pywraplp.Solver.OPTIMAL:
            return None
        self._used = np.array([variable.solution_value() > PART for variable in program.variables], dtype=np.bool_)
        duals = Duals(
            [row.dual_value() for row in program.shapes],
            max(0.0, program.moves.dual_value()),
            max(0.0, program.mib.dual_value()),
            [max(0.0, row.dual_value()) for row in program.classes],
        )
        return program.solver.Objective().Value(), duals


def choose(
    whole: Aggregate, columns: Columns, chosen: Index, between: tuple[int, int], limit_s: float | None, work: float
) -> Ints | None:
    """Return how often each chosen column is used, int64[n], for a gain within `between`; `None` when none is found.

    Without `limit_s` the effort is `work` deterministic seconds, and the answer repeats.
    """
    program = _Program(whole, "SAT")
    program.add(columns, chosen, True)
    solver = program.solver
    # With a most, a solver stops as soon as it gets there.
    goal = solver.Constraint(float(between[0]), float(between[1]))
    for variable, one in zip(program.variables, chosen.tolist(), strict=True):
        goal.SetCoefficient(variable, float(columns.gain[one]))
    if limit_s is not None:
        solver.SetTimeLimit(max(1, int(1000 * limit_s)))
    effort = f" max_deterministic_time:{work}" if limit_s is None else ""
    solver.SetSolverSpecificParametersAsString(f"num_workers:1 catch_sigint_signal:false{effort}")
    if solver.Solve() not in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE):
        return None
    return np.array([round(variable.solution_value()) for variable in program.variables], dtype=np.int64)
