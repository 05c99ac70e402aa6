"""CP-SAT over a model, tier by tier: each is minimised, its bound kept, and its value fixed before the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from scheduler.solver.evaluate import GOAL, TIERS
from scheduler.solver.forms import Bools, Index
from scheduler.solver.meter import Meter
from scheduler.solver.model import Model
from scheduler.solver.search import Search

POLL_S = 0.05
EXACT = 1 << 52
"""Above this a double no longer tells neighbouring integers apart."""


def solve_all(search: Search, meter: Meter, tiers: int = TIERS) -> bool:
    """Improve and prove the first `tiers` tiers on the whole model; tell whether CP-SAT could work with it.

    Tiers before the goal get half of what is left each, so that something remains for those after them.
    """
    instance = search.instance
    columns = np.arange(len(instance.movable))
    model = Model(instance, search.place, columns, np.ones(len(instance.host_ids), dtype=np.bool_))
    for tier in range(tiers):
        expression = model.tiers[tier].expression
        if search.bounds[tier] < search.value[tier]:
            if meter.over():
                return True
            if not model.tiers[tier].variables:
                search.raise_bound(tier, search.value[tier])
                continue
            status, bound = minimise(model, tier, search, meter, meter.left / (2 if tier < GOAL else 1))
            if status in (cp_model.INFEASIBLE, cp_model.MODEL_INVALID):
                return False
            search.raise_bound(tier, bound)
        model.cp.add(expression <= search.value[tier])
    return True


def improve_part(search: Search, meter: Meter, columns: Index, hosts: Bools, coarse: int, limit: float) -> bool:
    """Re-optimise some guests over some hosts in the first tier that is not proven; tell whether it got better."""
    model = Model(search.instance, search.place, columns, hosts, coarse)
    tier = search.open_tier()
    if tier is None or not model.tiers[tier].variables:
        return False
    for before in range(tier):
        model.cp.add(model.tiers[before].expression <= search.value[before])
    value = search.value
    minimise(model, tier, search, meter, min(limit, meter.left))
    return search.value < value


def minimise(model: Model, tier: int, search: Search, meter: Meter, limit: float) -> tuple[Any, int]:
    """Minimise one tier from the incumbent and offer what is found; return CP-SAT's status and proven bound."""
    model.cp.minimize(model.tiers[tier].expression)
    model.cp.clear_hints()  # type: ignore[no-untyped-call]
    for variable, value in _hints(model, search):
        model.cp.add_hint(variable, value)
    solver = cp_model.CpSolver()
    budget = meter.budget
    solver.parameters.num_workers = 1 if budget.work_limit is not None else max(1, budget.workers)
    solver.parameters.random_seed = budget.seed
    # Measured on 20 hosts and 200 guests: the relaxation proves most, and both of the others cost more than they save.
    solver.parameters.linearization_level = 2
    solver.parameters.cp_model_probing_level = 0
    solver.parameters.symmetry_level = 0
    solver.parameters.catch_sigint_signal = False  # an interrupt is for whoever gave `stop`
    if budget.work_limit is not None:
        solver.parameters.max_deterministic_time = limit
    else:
        solver.parameters.max_time_in_seconds = limit
    with _stopped_by(solver, meter.stop):
        status = solver.solve(model.cp)
    meter.work(solver.deterministic_time)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return status, 0
    place = search.place.copy()
    for (column, host), variable in model.x.items():
        if solver.boolean_value(variable):
            place[search.instance.movable[column]] = host
    search.offer(place, _asleep(model, search, solver))
    if status == cp_model.OPTIMAL:
        return status, round(solver.objective_value)
    bound = solver.best_objective_bound
    return status, int(np.ceil(bound - 1e-6)) if abs(bound) < EXACT else int(bound * (1 - 1e-12)) - 1


def _asleep(model: Model, search: Search, solver: Any) -> Bools | None:
    if search.asleep is None:
        return None
    asleep = np.zeros(len(search.asleep), dtype=np.bool_)
    for host, on in model.on.items():
        asleep[host] = not solver.boolean_value(on)
    return asleep


def _hints(model: Model, search: Search) -> Iterator[tuple[Any, int]]:
    """The incumbent's values; of derived variables only while it is the one the model was made from."""
    movable = search.instance.movable
    for (column, host), variable in model.x.items():
        yield variable, int(search.place[movable[column]] == host)
    for host, on in model.on.items():
        yield on, int(search.asleep is None or not search.asleep[host])
    if np.array_equal(model.place, search.place):
        yield from model.derived


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
