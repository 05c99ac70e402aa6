"""Whole patterns chosen among those known, by CP-SAT: worth it where patterns are few."""

from __future__ import annotations

from typing import Any

import numpy as np
from ortools.linear_solver import pywraplp

from scheduler.solver.forms import Index
from scheduler.solver.packing.generate import CLOSE, Generation

MOST_CHOSEN = 2000
"""With more patterns a choice is hardly ever found in the time it may take."""


def choose(
    generation: Generation, most: int, limit_s: float | None, work: float
) -> tuple[list[tuple[int, Index]] | None, bool]:
    """Return patterns (class and guests) that cover all guests and cost no more than `most` in the goal's unit.

    `None` where none are found, then with whether there are none among the patterns known. The linear program's last
    answer must be one with nothing fixed. Without `limit_s` the effort is `work` deterministic seconds, and the answer
    repeats.
    """
    chosen = _candidates(generation, most - generation.value)
    classes, patterns = generation.classes, generation.relaxation.patterns
    holds = patterns.holds[chosen]
    if len(chosen) > MOST_CHOSEN:
        return None, False
    if not holds.any(axis=0).all():
        return None, True
    solver: Any = pywraplp.Solver.CreateSolver("SAT")
    variables = [solver.BoolVar("") for _ in range(len(chosen))]
    of = np.array(patterns.of)[chosen]
    for guest in range(classes.guests):
        row = solver.Constraint(1, len(chosen))
        for one in np.flatnonzero(holds[:, guest]).tolist():
            row.SetCoefficient(variables[one], 1)
    cost = solver.Constraint(0, most)
    limits = [solver.Constraint(0, len(hosts)) for hosts in classes.hosts]
    solver.Objective().SetMinimization()
    for one, variable in enumerate(variables):
        cost.SetCoefficient(variable, int(classes.cost[of[one]]))
        solver.Objective().SetCoefficient(variable, int(classes.cost[of[one]]))
        limits[of[one]].SetCoefficient(variable, 1)
    if limit_s is not None:
        solver.SetTimeLimit(max(1, int(1000 * limit_s)))
    effort = f" max_deterministic_time:{work}" if limit_s is None else ""
    # Without the linear relaxation of everything it hardly ever finds a choice among more than a hundred.
    solver.SetSolverSpecificParametersAsString(f"num_workers:1 catch_sigint_signal:false linearization_level:2{effort}")
    status = solver.Solve()
    if status not in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE):
        return None, status == pywraplp.Solver.INFEASIBLE
    used = [one for one, variable in enumerate(variables) if variable.solution_value() > 0.5]
    return [(int(of[one]), patterns.guests[chosen[one]]) for one in used], False


def _candidates(generation: Generation, slack: float) -> Index:
    """Return the patterns that can be part of a choice that costs `slack` more than the linear program, int[n].

    A pattern's reduced cost is what using it once adds at least.
    """
    relaxation, patterns = generation.relaxation, generation.relaxation.patterns
    host = np.array([relaxation.price_of_host(of) for of in range(len(generation.classes.hosts))])
    reduced = host[np.array(patterns.of)] - patterns.holds @ relaxation.price
    # Each guest's host may be worth a little more than it costs.
    close = 2 * CLOSE * (generation.classes.guests + 1)
    return np.flatnonzero(reduced * relaxation.unit <= slack + close * relaxation.unit)
