"""Patterns, sets of guests that fill one host of a class, and the linear program that chooses among them in parts.

Rows: every guest is on some host; of a class no more hosts than there are (with a way out at a high cost, so that a
dive always has an answer). Minimised is what the hosts cost, as parts of the dearest one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.linear_solver import pywraplp

from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.meter import Meter
from scheduler.solver.packing.host_classes import HostClasses

Floats = NDArray[np.float64]

WAY_OUT = 1000.0
"""What a host beyond those there are costs, in dearest hosts."""
SOLVE_WORK, PIVOT_WORK = 1e-4, 4e-8
"""What a solve, and a pivot for each row of it, count as of a work limit: about the seconds they take."""


class Patterns:
    """The patterns known so far: class and guests (positions in `movable`) of each."""

    def __init__(self, guests: int) -> None:
        self.of: list[int] = []
        self.guests: list[Index] = []
        self._seen: set[tuple[int, bytes]] = set()
        self._holds = np.zeros((64, guests), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.of)

    def add(self, of: int, guests: Index) -> bool:
        """Add a pattern; tell whether it is new."""
        guests = np.sort(guests)
        key = of, guests.tobytes()
        if key in self._seen:
            return False
        self._seen.add(key)
        if len(self.of) == len(self._holds):
            self._holds = np.concatenate((self._holds, np.zeros_like(self._holds)))
        self._holds[len(self.of), guests] = True
        self.of.append(of)
        self.guests.append(guests)
        return True

    @property
    def holds(self) -> Bools:
        """Which guests each pattern has, bool[patterns, m]."""
        holds: Bools = self._holds[: len(self.of)]
        return holds


class Relaxation:
    """The linear program over patterns, with its last answer.

    `value` is the cost in `unit`s; `price` float[m] that of each guest, `of_class` float[classes] (0 or less) that of
    one more host; `use` float[patterns] how much of each pattern is used.
    """

    def __init__(self, classes: HostClasses, meter: Meter) -> None:
        self.classes, self.patterns = classes, Patterns(classes.guests)
        self.unit = max(1, int(classes.cost.max()))
        self.value = float("inf")
        self.solves = 0
        self.price: Floats = np.zeros(classes.guests)
        self.of_class: Floats = np.zeros(len(classes.hosts))
        self._meter = meter
        solver: Any = pywraplp.Solver.CreateSolver("GLOP")
        self._solver = solver
        self._rows = [solver.Constraint(1, solver.infinity()) for _ in range(classes.guests)]
        self._limits = [solver.Constraint(-solver.infinity(), len(hosts)) for hosts in classes.hosts]
        self._objective = solver.Objective()
        self._objective.SetMinimization()
        self._variables: list[Any] = []
        for limit in self._limits:
            out = solver.NumVar(0, solver.infinity(), "")
            limit.SetCoefficient(out, -1)
            self._objective.SetCoefficient(out, WAY_OUT)
        self._parameters = pywraplp.MPSolverParameters()
        self._parameters.SetIntegerParam(self._parameters.INCREMENTALITY, self._parameters.INCREMENTALITY_ON)
        self._parameters.SetIntegerParam(self._parameters.PRESOLVE, self._parameters.PRESOLVE_OFF)

    @property
    def use(self) -> Floats:
        """How much of each pattern the last answer uses, float[patterns]."""
        return np.array([variable.solution_value() for variable in self._variables])

    def add(self, of: int, guests: Index) -> bool:
        """Add a pattern of a class; tell whether it is new."""
        if not self.patterns.add(of, guests):
            return False
        variable = self._solver.NumVar(0, self._solver.infinity(), "")
        for guest in guests.tolist():
            self._rows[guest].SetCoefficient(variable, 1)
        self._limits[of].SetCoefficient(variable, 1)
        self._objective.SetCoefficient(variable, int(self.classes.cost[of]) / self.unit)
        self._variables.append(variable)
        return True

    def add_placement(self, place: Index) -> bool:
        """Add the pattern of every host of a valid placement; tell whether all guests are on hosts of the classes."""
        classes = self.classes
        hosts = classes.instance.host_of(place)[classes.instance.movable]
        for host in np.unique(hosts).tolist():
            of = int(classes.of[host])
            if of < 0:
                return False
            self.add(of, np.flatnonzero(hosts == host))
        return True

    def solve(self) -> bool:
        """Solve again with what has been added; tell whether there is a new answer."""
        meter = self._meter
        if meter.budget.work_limit is None:
            self._solver.SetTimeLimit(max(1, int(1000 * meter.left)))
        status = self._solver.Solve(self._parameters)
        self.solves += 1
        meter.work(SOLVE_WORK + PIVOT_WORK * len(self._rows) * max(0, int(self._solver.iterations())))
        if status != pywraplp.Solver.OPTIMAL:
            return False
        self.value = self._objective.Value()
        self.price = np.maximum(0.0, [row.dual_value() for row in self._rows])
        self.of_class = np.minimum(0.0, [row.dual_value() for row in self._limits])
        return True

    def fix(self, pattern: int, covered: Ints) -> None:
        """Use one pattern whole from now on; `covered` are guests that need no other."""
        self._variables[pattern].SetLb(1)
        for guest in covered.tolist():
            self._rows[guest].SetLb(0)

    def free(self) -> None:
        """Undo every `fix`."""
        for variable in self._variables:
            variable.SetLb(0)
        for row in self._rows:
            row.SetLb(1)

    def price_of_host(self, of: int) -> float:
        """What the guests of a pattern of a class must be worth more than to be of use, in `unit`s."""
        return int(self.classes.cost[of]) / self.unit - float(self.of_class[of])


def bound_of(classes: HostClasses, price: Ints, scale: int, worth: list[int]) -> int:
    """Return a proven bound on the cost of hosts, from prices int64[m] in 1/`scale` of a unit of cost.

    `worth` is the most that a pattern of each class is worth at these prices, or a bound on it. Every guest pays its
    price; a host takes in `worth` and gives back what is over its cost. Also after all prices are lowered until
    no host that costs anything has something over (Farley, A note on bounding a class of linear programming problems,
    1990). All in whole numbers.
    """
    paid, grain = sum(price.tolist()), classes.grain
    hosts = [
        (most, scale * cost, len(members))
        for most, cost, members in zip(worth, classes.cost.tolist(), classes.hosts, strict=True)
    ]
    # Prices are lowered by `cost / most` of the class that has most over.
    lower = [(cost, most) for most, cost, _ in hosts if most > cost > 0]
    ways = [(1, 1), min(lower, key=lambda way: way[0] / way[1])] if lower else [(1, 1)]
    bounds = [0]
    for part, whole in ways:
        left = paid * part - sum(max(0, most * part - cost * whole) * many for most, cost, many in hosts)
        bounds.append(-(-left // (scale * whole * grain)) * grain)
    return max(bounds)
