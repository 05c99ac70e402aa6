"""CP-SAT over a model, tier by tier: each is minimised, its bound kept, and its value fixed before the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from scheduler.solver.evaluate import GOAL, MIB, MOVES, TIERS
from scheduler.solver.forms import Bools, Index
from scheduler.solver.instance import UNLIMITED
from scheduler.solver.linear import Linear
from scheduler.solver.meter import Meter
from scheduler.solver.model import Model
from scheduler.solver.search import Search

POLL_S = 0.05
BUILD_S = 4e-5
"""What building a model takes at most for each boolean, on a busy machine."""
EXACT = 1 << 52
"""Above this a double no longer tells neighbouring integers apart."""


def solve_all(search: Search, meter: Meter, tiers: int = TIERS) -> bool:
    """Improve and prove the first `tiers` tiers on the whole model; tell whether CP-SAT could work with it.

    Tiers before the goal get half of what is left each, so that something remains for those after them.
    """
    if meter.budget.work_limit is None and meter.left < BUILD_S * search.instance.choices:
        return True
    model: Model | None = None
    held = 0
    for tier in range(tiers):
        if search.bounds[tier] >= search.value[tier]:
            continue
        if meter.over():
            return True
        if model is None or not np.array_equal(model.place, search.place):
            # From the incumbent anew: its values are then the start of every variable.
            model = _model(search, np.arange(len(search.instance.movable)), np.ones(search.instance.hosts, dtype=bool))
            held = 0
        _hold(model, search, held, tier)
        held = tier
        if not model.tiers[tier].terms:
            search.raise_bound(tier, search.value[tier])
            continue
        status, bound = minimise(model, model.tiers[tier], search, meter, meter.left / (2 if tier < GOAL else 1))
        if status in (cp_model.INFEASIBLE, cp_model.MODEL_INVALID):
            return False
        search.raise_bound(tier, bound)
    return True


def _hold(model: Model, search: Search, start: int, end: int) -> None:
    """Let some tiers be no worse than they are."""
    for tier in range(start, end):
        if model.tiers[tier].terms:
            model.program.keep(model.tiers[tier], most=search.value[tier])


def improve_part(
    search: Search, meter: Meter, positions: Index, hosts: Bools, coarse: int, limit: float
) -> tuple[bool, bool]:
    """Re-optimise some guests over some hosts in the first tier that is not proven.

    Tell whether it got better, and whether the part was solved to the end within the limit.
    """
    tier = search.open_tier()
    if tier is None:
        return False, True
    model = _model(search, positions, hosts, coarse)
    if not model.tiers[tier].terms:
        return False, True
    _hold(model, search, 0, tier)
    value = search.value
    wanted = _sparing(model, search) if tier == GOAL else model.tiers[tier]
    status, _ = minimise(model, wanted, search, meter, min(limit, meter.left), presolve_rounds=1)
    return search.value < value, bool(status == cp_model.OPTIMAL)


def _sparing(model: Model, search: Search) -> Linear:
    """Return the goal, and among equals the fewest moves or, where that is capped, the least memory moved.

    Budget of moves spent on nothing would be missing in the next part.
    """
    spent = model.tiers[MIB if search.instance.max_mib < UNLIMITED else MOVES]
    goal, program = model.tiers[GOAL], model.program
    factor = program.most(spent) - program.least(spent) + 1
    if factor * max(abs(program.most(goal)), abs(program.least(goal))) > EXACT:
        return goal
    return goal.scaled(factor).join(spent)


def minimise(
    model: Model, wanted: Linear, search: Search, meter: Meter, limit: float, presolve_rounds: int = 0
) -> tuple[Any, int]:
    """Minimise an expression from the model's start and offer what is found; return CP-SAT's status and bound.

    With 0 `presolve_rounds` CP-SAT takes as many as it likes.
    """
    program = model.program
    program.minimise(wanted)
    program.begin_at_start()
    solver = cp_model.CpSolver()
    budget = meter.budget
    solver.parameters.num_workers = 1 if budget.work_limit is not None else max(1, budget.workers)
    solver.parameters.random_seed = budget.seed
    # Measured on 20 hosts and 200 guests: the relaxation proves most, and both of the others cost more than they save.
    solver.parameters.linearization_level = 2
    solver.parameters.cp_model_probing_level = 0
    solver.parameters.symmetry_level = 0
    solver.parameters.catch_sigint_signal = False  # an interrupt is for whoever gave `stop`
    if presolve_rounds:
        solver.parameters.max_presolve_iterations = presolve_rounds
    if budget.work_limit is not None:
        solver.parameters.max_deterministic_time = limit
    else:
        solver.parameters.max_time_in_seconds = limit
    with _stopped_by(solver, meter.stop):
        status = solver.solve(program.model)
    meter.work(solver.deterministic_time)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return status, 0
    solution = list(solver.response_proto.solution)
    search.offer(model.place_of(solution), model.asleep_of(solution))
    if status == cp_model.OPTIMAL:
        return status, program.value(wanted, solution)
    bound = solver.best_objective_bound
    least = int(np.ceil(bound - 1e-6)) if abs(bound) < EXACT else int(bound * (1 - 1e-12)) - 1
    return status, least + wanted.constant


def _model(search: Search, positions: Index, hosts: Bools, coarse: int = 1) -> Model:
    return Model(
        search.instance,
        search.place,
        positions,
        hosts,
        asleep=search.asleep,
        coarse=coarse,
        links=search.links,
        value=search.value,
        use=search.counts.use,
    )


@contextmanager
def _stopped_by(solver: Any, stop: Callable[[], bool] | None) -> Iterator[None]:
    """Ask `stop` while CP-SAT runs, from a thread, since CP-SAT does not come back in between."""
    if stop is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            if stop():
                solver.stop_search()
                return

    thread = threading.Thread(target=watch, name="solver-stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
