"""The horizon model: how many hosts the planned load needs step by step, and for how long each could sleep. Pure.

Hosts stand in one order: those that must stay on, those that may sleep, best first, then those asleep, best first. A
host's place in it is a layer of capacity; a layer is needed in a step when those before it do not hold the load. For
hosts alike, layer by layer is the exact optimum of this unit commitment: what a layer costs does not depend on others
(each sleeps through the gaps of its own need that pay for it). Between unlike hosts the order is a choice, tried for
CPU, for memory and for both, the cheapest taken; the bound says how far it may be from the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scheduler.energy.units import Unit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Keeps:
    """What must be kept at every step.

    Hosts are filled to `fill_ratio` of their limits without the `reserve` largest; to the limits themselves without
    the `losses` largest, or without any one cell of hosts where `by_cell`.
    """

    fill_ratio: float
    reserve: int
    losses: int
    by_cell: bool = False


@dataclass(frozen=True)
class Demand:
    """Load by step: planned CPU millicores int64[steps], memory MiB, and price of energy float[steps].

    Hosts have peaks of their own: filled, and without anything kept, they hold `apart` times the CPU.
    """

    cpu_millicores: Ints
    memory_mib: int
    price: Floats
    step_s: float
    apart: float = 1.0


def in_order(units: Sequence[Unit], cpu_share: float, memory_share: float) -> list[Unit]:
    """Return the units in the order of their layers; a share is how scarce a resource is, per unit of it."""

    def key(unit: Unit) -> tuple[int, int, float, float, str]:
        kept = 0 if unit.why_on is not None else 1
        stage = kept if unit.is_on else 2
        # Hosts alike that would lose the fewest guests sleep first: they stand last.
        return stage, int(unit.is_doubtful), unit.rank(cpu_share, memory_share), -unit.empty_joules, unit.id

    return sorted(units, key=key)


def needed(order: Sequence[Unit], demand: Demand, keeps: Keeps) -> Ints:
    """Return how many units, from the first on, each step needs, int64[steps]; all of them where all fall short."""
    steps = len(demand.cpu_millicores)
    most = np.zeros(steps, dtype=np.int64)
    memory = np.full(steps, demand.memory_mib, dtype=np.int64)
    for sizes, load in (
        (np.array([unit.cpu_millicores for unit in order], dtype=np.int64), demand.cpu_millicores),
        (np.array([unit.memory_mib for unit in order], dtype=np.int64), memory),
    ):
        held = held_by_prefixes(order, sizes, keeps)
        most = np.maximum(most, np.searchsorted(held, load, side="left"))
        # What hosts' own peaks take, the reserve has room for: the same free cores serve both.
        filled = np.floor(np.concatenate(([0], np.cumsum(sizes))) * keeps.fill_ratio / demand.apart + 1e-9)
        most = np.maximum(most, np.searchsorted(filled, load, side="left"))
    return np.minimum(most, len(order))


def held_by_prefixes(order: Sequence[Unit], sizes: Ints, keeps: Keeps) -> Ints:
    """Return what the first 0, 1, 2, ... units hold of a resource with all that is kept, int64[units + 1], rising."""
    whole = np.concatenate(([0], np.cumsum(sizes)))
    ready = np.floor((whole - _largest(sizes, keeps.reserve)) * keeps.fill_ratio + 1e-9).astype(np.int64)
    lost = _largest_cell(order, sizes) if keeps.by_cell else _largest(sizes, keeps.losses)
    held: Ints = np.minimum(ready, whole - lost)
    return np.maximum.accumulate(held)


def _largest(sizes: Ints, many: int) -> Ints:
    """Sum of the `many` largest among the first 0, 1, 2, ... sizes."""
    top: list[int] = []
    sums = [0]
    for size in sizes.tolist():
        top = sorted([*top, size], reverse=True)[:many]
        sums.append(sum(top))
    return np.array(sums, dtype=np.int64)


def _largest_cell(order: Sequence[Unit], sizes: Ints) -> Ints:
    cells: dict[str, int] = {}
    most = [0]
    for unit, size in zip(order, sizes.tolist(), strict=True):
        cells[unit.cell] = cells.get(unit.cell, 0) + size
        most.append(max(most[-1], cells[unit.cell]))
    return np.array(most, dtype=np.int64)


@dataclass(frozen=True)
class Commitment:
    """An order of layers, what each step needs for sleeping and for waking, and what that costs.

    `asleep_for_s` float[units]: how long each could sleep from now on; 0 where it is needed now. `pays` bool[units]:
    may sleep, for long enough, and saves more than it costs. `value` and `bound` are idle energy over the horizon in
    joules, weighed by price: of this commitment, and of any other at least.
    """

    order: tuple[Unit, ...]
    to_sleep: Ints
    to_wake: Ints
    asleep_for_s: Floats
    pays: npt.NDArray[np.bool_]
    value: float
    bound: float


def commit(
    units: Sequence[Unit], demand: Demand, sleeping: Keeps, waking: Keeps, least_off_s: float, lead_s: float
) -> Commitment:
    """Return the cheapest of the layer orders tried. `lead_s`: beside its wake time, how early a host is woken."""
    cpu, memory = float(demand.cpu_millicores.max(initial=1)), float(max(1, demand.memory_mib))
    shares = ((1.0, 0.0), (0.0, 1.0), (1.0 / max(1.0, cpu), 1.0 / memory))
    found = [_committed(units, demand, sleeping, waking, least_off_s, lead_s, *share) for share in shares]
    best = min(range(len(found)), key=lambda i: (found[i].value, i))
    return found[best]


def _committed(
    units: Sequence[Unit],
    demand: Demand,
    sleeping: Keeps,
    waking: Keeps,
    least_off_s: float,
    lead_s: float,
    cpu_share: float,
    memory_share: float,
) -> Commitment:
    order = in_order(units, cpu_share, memory_share)
    to_sleep, to_wake = needed(order, demand, sleeping), needed(order, demand, waking)
    steps, layers = len(to_sleep), len(order)
    layer = np.arange(layers)
    # A host is not put to sleep while the lower threshold needs it within its least time asleep, and sleeps on until
    # the upper one does.
    soon = int(min(steps, max(1, -(-least_off_s // demand.step_s))))
    needed_soon = layer < int(to_sleep[:soon].max(initial=0))
    later = to_wake[None, :] > layer[:, None]
    first = np.where(later.any(axis=1), later.argmax(axis=1), steps)
    wake_s = np.array([unit.wake_s for unit in order])
    # A step less, as waking looks a step further ahead: what goes to sleep is not woken by the same figures.
    until_s = np.where(first < steps, (first - 1) * demand.step_s - wake_s - lead_s, steps * demand.step_s)
    asleep_for_s = np.where(needed_soon, 0.0, np.maximum(0.0, until_s))
    joules = np.array([unit.saved_watts for unit in order]) * _priced(asleep_for_s, demand)
    cost = np.array([unit.cycle_joules for unit in order]) * float(demand.price[0] if steps else 1.0)
    may = np.array([unit.is_on and unit.why_on is None for unit in order], dtype=np.bool_)
    pays = may & (asleep_for_s >= max(least_off_s, demand.step_s)) & (joules > cost)
    # What the lower threshold needs later ends the sleep of none: layers sleep from the last one on.
    for place in range(layers - 1, -1, -1):
        if order[place].is_on and not pays[place]:
            pays[:place] = False
            break
    idle = np.array([unit.idle_watts for unit in order])
    is_on = np.array([unit.is_on for unit in order], dtype=np.bool_)
    on = _on(later, (pays | ~is_on), soon)
    value = float((idle * (on @ (demand.price * demand.step_s))).sum() + cost[pays].sum())
    return Commitment(
        tuple(order), to_sleep, to_wake, asleep_for_s, pays, value, _bound(order, demand, waking.fill_ratio)
    )


def _on(needed_at: npt.NDArray[np.bool_], may_sleep: npt.NDArray[np.bool_], least_steps: int) -> Floats:
    """Return when each layer is on, 0 or 1 float[units, steps]: always, or when needed and in gaps too short."""
    on = needed_at | ~may_sleep[:, None]
    for row in np.flatnonzero(may_sleep & needed_at.any(axis=1)).tolist():
        places = np.flatnonzero(needed_at[row])
        for start, end in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
            if end - start <= least_steps:
                on[row, start:end] = True
    return on.astype(np.float64)


def _priced(seconds: Floats, demand: Demand) -> Floats:
    """Return the price-weighted seconds of the first so many seconds of the horizon, float[n]."""
    ends = np.concatenate(([0.0], np.cumsum(demand.price) * demand.step_s))
    at = np.arange(len(ends)) * demand.step_s
    return np.asarray(np.interp(seconds, at, ends), dtype=np.float64)


def _bound(units: Sequence[Unit], demand: Demand, fill_ratio: float) -> float:
    """Least price-weighted idle energy: hosts divisible, the cheapest for what they hold on, each step by itself."""
    idle = np.array([unit.idle_watts for unit in units])
    held_on = np.array([unit.is_on and unit.why_on is not None for unit in units], dtype=np.bool_)
    least = np.zeros(len(demand.cpu_millicores))
    memory = np.full(len(least), demand.memory_mib, dtype=np.int64)
    for sizes, load in (
        (np.array([unit.cpu_millicores for unit in units], dtype=np.float64) * fill_ratio, demand.cpu_millicores),
        (np.array([unit.memory_mib for unit in units], dtype=np.float64) * fill_ratio, memory),
    ):
        rest = np.maximum(0.0, load - sizes[held_on].sum())
        free = np.flatnonzero(~held_on & (sizes > 0))
        free = free[np.argsort(idle[free] / sizes[free], kind="stable")]
        watts = np.interp(
            rest, np.concatenate(([0.0], np.cumsum(sizes[free]))), np.concatenate(([0.0], np.cumsum(idle[free])))
        )
        least = np.maximum(least, watts)
    fixed = float(idle[held_on].sum())
    return float(((least + fixed) * demand.price).sum() * demand.step_s)
