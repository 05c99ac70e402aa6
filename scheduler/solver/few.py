"""The best use of few moves: steepest descent under the cap, then annealing that spends the same moves in other ways.

Where moves have no price of their own and the guests have memory, the descent's MiB are a ceiling for the annealing
(`docs/decisions/0010`). They are none where every move has its price in the goal already, where a guest's MiB count
for nothing, and where the descent stalls before half of its moves are made, as it does when only exchanges help. Where
it stalls later, sets of guests are exchanged in the end (see `relieve`).
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.forms import Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.capped import anneal_few, sample_few
from scheduler.solver.kernels.capped_even import anneal_even
from scheduler.solver.kernels.even import Even, make_even
from scheduler.solver.kernels.few import Few, back_to_kept, keep_first, make_few, send_home
from scheduler.solver.kernels.state import BROKEN, GOAL, LEFT, MIB, MOVES, OVERLOAD, State
from scheduler.solver.kernels.steepest import descend, look_at, make_entries
from scheduler.solver.kernels.tables import Tables
from scheduler.solver.local import Local
from scheduler.solver.meter import Meter
from scheduler.solver.relieve import exchange_sets, set_work

SLICE_STEPS = 20_000
STEP_WORK, EVEN_STEP_WORK = 2e-7, 1e-7
"""What a proposal counts as of a work limit: about the seconds it takes. The second where evenness alone counts."""
PRICE_WORK, EVEN_PRICE_WORK = 5e-8, 4e-9
"""The same for pricing one entry."""
MOST_PRICED = 10_000_000
"""Entries priced at first, guests x hosts; beyond that each guest looks at the most promising hosts alone."""
LEAST_TARGETS = 256
PROBES = 16
"""Guests by whose entries the promising hosts are told."""
DESCENT_SHARE = 0.4
"""At most this part of the budget goes to the descent."""
HOT, COLD, COLDEST = 0.15, 1 / 100, 0.02
"""Temperature at the start as a part of the median rise of the goal, at the end as a part of that at the start, and
the least as a part of the smallest rise sampled."""
EVEN_HOT, EVEN_COLD = 1.2, 1 / 60
"""Where evenness alone counts: temperature at the start as a part of the median rise by moving any guest anywhere, at
the end as a part of what half of the hosts cost more than after the descent."""
COOLING = 1e-2, 1e-5
"""Then the end is this much colder than the start, at least and at most."""
PRICE = 0.04
"""The price of a MiB at first, as a part of what the descent gained for each."""
STALLED = 0.5
SAMPLES = 512


def few_moves_bind(instance: Instance) -> bool:
    """Tell whether fewer guests, or fewer MiB, may move than could."""
    return instance.max_moves < len(instance.movable) or instance.max_mib < int(instance.mib[instance.movable].sum())


def use_few_moves(local: Local, meter: Meter, share: float = 1.0) -> int | None:
    """Make the best use of the moves that are left, for a share of what is left of the budget.

    Begins at the state of `local` (mended, say), leaves it at the best met, which `local.best` then is unless it was
    better already. Returns the ceiling of MiB that was kept to, `None` where there was none.
    """
    until = meter.left * (1 - share)
    goal, mib = local.state.totals[[GOAL, MIB]].tolist()
    even = make_even(local.tables, local.state.use)
    ceiling, stalled = _descend(local, even, meter, until)
    local.note()
    gained, moved = goal - int(local.state.totals[GOAL]), int(local.state.totals[MIB]) - mib
    price = PRICE * gained / moved if ceiling is not None and gained > 0 and moved > 0 else 0.0
    most = int(local.instance.mib.sum()) if ceiling is None else ceiling
    few = make_few(local.tables, most, price)
    keep_first(local.state, few)
    misfits = stalled and bool(even.alone[0])
    _anneal(local, even, few, meter, until + set_work(local.instance, meter.left - until) if misfits else until)
    back_to_kept(local.tables, local.state, few)
    send_home(local.tables, local.state)
    if misfits:
        exchange_sets(local, few, meter, until)
    local.note()
    return ceiling


def _descend(local: Local, even: Even, meter: Meter, until: float) -> tuple[int | None, bool]:
    """Descend while the cap allows; return the ceiling of MiB for what comes after, and whether no shift helps now."""
    tables, state, instance = local.tables, local.state, local.instance
    stop = until + (meter.left - until) * (1 - DESCENT_SHARE)
    targets = _targets(local)
    entries = make_entries(tables, targets)
    many = len(tables.movable)
    entry_work = EVEN_PRICE_WORK if even.alone[0] else PRICE_WORK
    at_once = max(1, min(many, 400_000 // (len(targets) * instance.modes)))
    for start in range(0, many, at_once):
        if meter.over():
            break
        look_at(tables, state, even, entries, start, start + at_once)
        meter.work(entry_work * at_once * len(targets))
    allowed = instance.max_moves - int(state.totals[MOVES])
    steps, made = max(1, 100_000 // max(1, many)), 0
    stalled = False
    while made < allowed and not stalled and not meter.over() and meter.left > stop:
        wanted = min(steps, allowed - made)
        done = descend(tables, state, even, entries, wanted)
        stalled = done < wanted
        made += done
        meter.work(4 * entry_work * wanted * many)
    most = instance.max_mib if instance.max_mib < int(instance.mib[instance.movable].sum()) else None
    if instance.goal.price.any() or not instance.mib.any() or made == 0 or (stalled and made < STALLED * allowed):
        return most, stalled
    ceiling = int(state.totals[MIB])
    if not stalled:
        # Cut short by the budget: as much again for each step that was not made.
        ceiling = ceiling * allowed // made
    return ceiling if most is None else min(most, ceiling), stalled


def _targets(local: Local) -> Ints:
    """Return the hosts that the descent looks at: all of them, or where they are many those cheapest to enter."""
    instance, state = local.instance, local.state
    hosts, movable = np.arange(instance.hosts, dtype=np.int64), instance.movable
    many = max(LEAST_TARGETS, MOST_PRICED // max(1, len(movable) * instance.modes))
    if many >= instance.hosts or not len(movable):
        return hosts
    by_size = movable[np.argsort(instance.mib[movable], kind="stable")]
    rank = np.full(instance.hosts, instance.hosts, dtype=np.int64)
    for guest in by_size[np.linspace(0, len(by_size) - 1, PROBES).astype(np.intp)].tolist():
        demand = instance.demand[guest, instance.home[guest] % instance.modes]
        cost = instance.goal.at(hosts, state.use + demand) - state.cost
        cost[(state.use + demand > instance.headroom).any(axis=1) | ~instance.target] = np.iinfo(np.int64).max
        order = np.argsort(cost, kind="stable")
        rank[order] = np.minimum(rank[order], hosts)
    chosen: Ints = np.sort(np.argsort(rank, kind="stable")[:many])
    return chosen


def _anneal(local: Local, even: Even, few: Few, meter: Meter, until: float) -> None:
    tables, state = local.tables, local.state
    quick = bool(even.alone[0]) and not state.totals[[BROKEN, OVERLOAD, LEFT]].any()
    hot, cold = _even_temperatures(local) if quick else _temperatures(tables, local, few)
    if quick:
        # A bare walk spoils the state it is given.
        even = make_even(tables, state.use)
        state = copied(state) if even.bare[0] else state
    whole = meter.left - until
    while whole > 0 and meter.left > until and not meter.over():
        done = min(1.0, 1 - (meter.left - until) / whole)
        temperature = hot * (cold / hot) ** done
        if quick:
            anneal_even(tables, state, even, few, SLICE_STEPS, temperature)
        else:
            anneal_few(tables, state, few, SLICE_STEPS, temperature)
        meter.work((EVEN_STEP_WORK if quick else STEP_WORK) * SLICE_STEPS)


def copied(state: State) -> State:
    """Return a state of its own with the same figures."""
    return state._replace(**{name: getattr(state, name).copy() for name in state._fields})


def _even_temperatures(local: Local) -> tuple[float, float]:
    """Return the temperatures at the start and at the end where evenness alone counts."""
    hot = EVEN_HOT * local.usual_temperature()
    if not hot:
        return 1.0, 1.0
    counted = local.tables.terms.even_counted[0].any(axis=1)
    cold = EVEN_COLD * float(np.median(local.state.cost[counted])) if counted.any() else 0.0
    return hot, min(COOLING[0] * hot, max(COOLING[1] * hot, cold))


def _temperatures(tables: Tables, local: Local, few: Few) -> tuple[float, float]:
    """Return the temperatures at the start and at the end, by how proposals drawn by chance raise the goal."""
    costs = np.zeros(SAMPLES, dtype=np.int64)
    found = sample_few(tables, local.state, few, costs)
    if not found:
        return 1.0, 1.0
    hot = HOT * float(np.median(costs[:found]))
    return hot, min(hot, max(COLD * hot, COLDEST * float(costs[:found].min())))
