"""One walk of the elastic search: a state annealed under pressure that is steered so that few hosts lack something.

The price of a unit over capacity follows how many hosts lack the resource: it rises while they are more than wanted
and falls while they are fewer, so that no figure of an instance has to be guessed. A lack costs as if it was larger by
a part of the average demand: else hosts stay a little over capacity for next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.elastic.cooling import Cooling
from scheduler.solver.forms import Index, Ints
from scheduler.solver.kernels.elastic import anneal_elastic, sample_rises
from scheduler.solver.kernels.pressure import (
    BEST_GOAL,
    SINCE,
    Elastic,
    find_room,
    make_pressure,
)
from scheduler.solver.kernels.state import GOAL, make_state, move_all
from scheduler.solver.kernels.tables import Tables

SLICE_STEPS = 10_000
SWAPS, CHAINS, HOMES = 500, 200, 100
"""Of 1024 proposals, the swaps and the chains; of shifts, those that go home."""
FLOOR = 0.03
"""What a lack is reckoned to be larger than it is, in average demands of the resource."""
FIRST, LEAST, MOST = 0.1, 0.01, 1000.0
"""Price of a unit of lack at first, and its bounds, in what the unit costs over a soft limit."""
GAIN, OVER_ALL, MOST_GAIN, MOST_SHORT = 0.006, 40.0, 0.2, 3.0
"""How much the logarithm of a price rises a slice for each host lacking more than wanted, and for so many at most. In
short annealings it is more, up to `MOST_GAIN`, so that over all of one it could come to `OVER_ALL`."""
WANTED, POWER = 0.1, 3.0
"""Hosts wanted to lack a resource at the end, and the power of the time left by which they fall from a part of all."""
SAMPLES = 4096
COLD, HOT, HOTTER = range(3)
"""Schedules, see `Walk.coolings`."""
END, COLDEST = 0.001, 0.3
"""Temperature at the end as a part of the rise that only one in a hundred is below, and the least."""


class Walk:
    """A state, its pressure, and the best placement met. `unit` float64[resources] is the scale of prices."""

    def __init__(self, tables: Tables, elastic: Elastic, place: Index, seed: int) -> None:
        self.tables, self.elastic = tables, elastic
        self.state = make_state(tables, place, seed)
        self.pressure = make_pressure(elastic, self.state)
        self.unit = price_units(elastic)
        self.floor: NDArray[np.float64] = FLOOR * elastic.demand.mean(axis=0)
        self.price = FIRST * self.unit
        self.steps = 0

    @property
    def best(self) -> Ints:
        """The cheapest valid placement met since the last one that it was sent to."""
        return self.pressure.best

    @property
    def best_goal(self) -> int:
        """Its goal."""
        return int(self.pressure.figures[BEST_GOAL])

    @property
    def energy(self) -> float:
        """What the walk has come to: the goal and the price of what is lacking."""
        return float(self.state.totals[GOAL] + self.pressure.penalty.sum())

    @property
    def pairs(self) -> int:
        """Guests that may move, times hosts."""
        return len(self.tables.movable) * len(self.tables.cap)

    def go_to(self, place: Ints) -> None:
        """Go on from another valid placement, which becomes the best met."""
        move_all(self.tables, self.state, place)
        self.pressure.best[:] = place
        self.pressure.figures[BEST_GOAL] = self.state.totals[GOAL]
        self.pressure.figures[SINCE] = 0

    def restart(self, place: Ints) -> None:
        """Go on from another valid placement as if nothing had been learnt of prices."""
        self.go_to(place)
        self.price = FIRST * self.unit

    def rises(self) -> NDArray[np.float64]:
        """Return what shifts drawn by chance raise the goal by, those above 0 in rising order; capacity is left out."""
        rises = np.zeros(SAMPLES, dtype=np.int64)
        found = sample_rises(self.tables, self.elastic, self.state, self.pressure, rises)
        return np.sort(rises[:found]).astype(np.float64)

    def coolings(self) -> tuple[Cooling, Cooling, Cooling]:
        """Return the schedules `COLD`, `HOT` and `HOTTER`: from what shifts cost here down to next to nothing.

        The cold one begins at what the cheapest cost, for placements in which all is well but for moves that could be
        spared; the hot one at what a quarter cost more than; the hotter one at what a tenth do, for where a few large
        guests decide.
        """
        rises = self.rises()
        if not len(rises):
            return Cooling(1.0, 1.0), Cooling(1.0, 1.0), Cooling(1.0, 1.0)
        hot, hotter = float(rises[3 * len(rises) // 4]), float(rises[9 * len(rises) // 10])
        cheap = float(rises[len(rises) // 100])
        end = max(COLDEST, END * cheap)
        return Cooling(cheap, end), Cooling(hot, end), Cooling(hotter, end)

    def anneal(
        self, progress: Callable[[int], float], cooling: Cooling, start: float, loose: float, heavy: int, pull: float
    ) -> None:
        """Anneal from `start`, a part of the cooling, to its end until `progress`, told of the steps made, returns 1.

        At the start of the cooling the part `loose` of the hosts should lack each resource, and `heavy` of 1024
        proposals draw guests by size; none does at the end, when large ones have settled. Leaving home costs `pull`
        times the temperature: at a temperature at which hosts are all alike a guest is at home as often as on
        exp(pull) others. What is met on the way is noted in `cooling`.
        """
        hosts, past, before = len(self.elastic.targets), progress(0), 0.0
        while past < 1.0:
            done = start + (1.0 - start) * past
            wanted = WANTED + max(0.0, loose * hosts - WANTED) * (1.0 - done) ** POWER
            self._press(wanted, min(MOST_GAIN, max(GAIN, OVER_ALL * (past - before))))
            temperature = cooling.at(done)
            self._slice(temperature, int(heavy * (1.0 - done)), int(pull * temperature))
            cooling.measure(temperature, self.energy)
            before, past = past, progress(SLICE_STEPS)

    def _press(self, wanted: float, gain: float) -> None:
        """Set prices of lacks for the next slice; `wanted` hosts should lack each resource."""
        pressure = self.pressure
        short = np.minimum(pressure.short - wanted, MOST_SHORT)
        self.price = np.clip(self.price * np.exp(gain * short), LEAST * self.unit, MOST * self.unit)
        pressure.unit_price[:] = self.price + 1
        pressure.each[:] = self.price * self.floor
        find_room(self.elastic, self.state, pressure)

    def _slice(self, temperature: float, heavy: int, pull: int) -> None:
        anneal_elastic(
            self.tables,
            self.elastic,
            self.state,
            self.pressure,
            SLICE_STEPS,
            temperature,
            SWAPS,
            CHAINS,
            HOMES,
            heavy,
            pull,
        )
        self.steps += SLICE_STEPS


def price_units(elastic: Elastic) -> NDArray[np.float64]:
    """Return what a unit over capacity is worth, float64[resources], as scale.

    The weight of the soft limit, or as much as makes an equal share of capacity cost the same as of the others.
    """
    room = np.maximum(1.0, np.minimum(elastic.cap, elastic.demand.sum(axis=0)).mean(axis=0))
    weight = elastic.soft_weight.astype(np.float64)
    alike = float((weight * room).mean()) / room
    scale: NDArray[np.float64] = np.maximum(np.maximum(weight, alike), 1.0)
    return scale
