"""Emptying hosts as one layer of the engine: close the cheapest, seat their guests, exchange hosts, cool down.

First all hosts that are worth it are closed at once and their guests seated, the largest first: nobody else moves, so
nothing cheaper exists where that works. Where it does not, hosts are closed one by one, and those that then do not go
by annealing in which the guests of other hosts make room, each at a price. What is reached is improved by opening one
host for another and by cold annealing. There a move costs more than the goal says: a further GiB must save a good part
of what was saved with each so far. Without that the last watts would take half as much memory again.
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.bounds.asleep import AsleepBound, raise_bounds
from scheduler.solver.evacuate.bundles import make_bundles
from scheduler.solver.evacuate.choose import Floats, choose, in_order, net_savings, what_closing_takes
from scheduler.solver.evaluate import GOAL, MIB, MOVES
from scheduler.solver.forms import Bools, Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.anneal import anneal
from scheduler.solver.kernels.repack import LEAST_EXCESS, make_repack, repack_steps, start
from scheduler.solver.kernels.reseat import change_hosts, go_home, seat_bundles
from scheduler.solver.kernels.state import CAPPED, WORSE
from scheduler.solver.meter import Meter
from scheduler.solver.packing.bins import STEP_WORK, Bins
from scheduler.solver.search import Search

SLICE = 300_000
"""Seats looked at in one call of compiled code."""
SLICE_STEPS = 20_000
AWAY = 0.03
"""Price of a guest of mean memory for not being at home, in mean relative sizes of a guest in excess."""
HOT, COLD = 0.04, 0.002
COOL_EVERY = 1024
TRY_STEPS, MOST_TRY_STEPS = 200, 3200
"""Proposals per guest for closing one host more, in the first round of tries and at most."""
POLISH_STEPS, SEAT_STEPS = 4000, 500
"""Proposals per guest of one cold annealing; fewer where no less memory can move, and only seats are exchanged."""
MOST_PAIRS = 3000
"""Exchanges of hosts tried at most in one go."""
FURTHER = 0.15
"""What a further GiB must save, as a part of what was saved with each so far."""
ROUNDS, LITTLE = 8, 500
"""Rounds of exchanges and annealing at most; one that gains less than 1 / `LITTLE` of what is saved is the last."""
HEAT, COOL = 0.1, 0.01
SWAPS = 300


def applies(instance: Instance) -> bool:
    """Tell whether there are hosts that save by sleeping and guests that could leave them."""
    sleep = instance.goal.sleep
    if sleep is None or not len(instance.movable):
        return False
    return bool((sleep.may & (sleep.idle_cost > sleep.asleep_cost)).any())


def empty_cheaply(search: Search, meter: Meter, share: float = 1.0) -> None:
    """Improve the incumbent's sleeping hosts, and what moves for them, for a share of what is left of the budget."""
    if not applies(search.instance):
        return
    emptying = Emptying(search, meter, meter.left * (1 - share))
    emptying.close()
    raise_bounds(search, emptying.bound)
    emptying.improve()
    raise_bounds(search, emptying.bound)


class Emptying:
    """A search's incumbent in compiled form, and the hosts in the order in which they are worth closing."""

    def __init__(self, search: Search, meter: Meter, until: float) -> None:
        self.search, self.meter, self.until = search, meter, until
        self.instance = instance = search.instance
        self.bins = Bins(instance, search.place, meter.budget.seed)
        # What has been mended by now is not to be broken again.
        most = self.bins.tables.groups.most
        most[:] = np.minimum(most, self.bins.state.broken)
        self.bundles = make_bundles(instance, search.place)
        self.bound = AsleepBound(instance)
        self.sleep = self.bound.sleep
        self.net: Floats = net_savings(self.bound)
        self.taken, self.spare = what_closing_takes(instance, self.bound)
        self.order = in_order(self.taken, self.spare, self.net)
        self.most = min(self.bound.most, len(self.order))

    def over(self) -> bool:
        """Whether this layer's share is spent, or nothing better can be found."""
        meter = self.meter
        return meter.over() or meter.left <= self.until or self.search.bounds[GOAL] >= self.search.value[GOAL]

    def asleep(self) -> Bools:
        """Hosts that the incumbent puts to sleep, bool[hosts]."""
        asleep = self.search.asleep
        return np.zeros(self.instance.hosts, dtype=np.bool_) if asleep is None else asleep

    def offer(self) -> bool:
        """Offer the state's placement where it keeps to forms and caps; tell whether it is the best so far."""
        totals, instance = self.bins.state.totals, self.instance
        if totals[WORSE] or totals[CAPPED] or totals[MOVES] > instance.max_moves or totals[MIB] > instance.max_mib:
            return False
        return self.search.offer(self.bins.state.place.copy())

    def close(self) -> None:
        """Close the hosts that are worth most together, or as many of them as can be."""
        chosen = choose(self.taken, self.spare, self.net, self.order, self.most)
        place = self.search.place
        for tight in (False, True):
            if self.over():
                return
            self.bins.go_to(place)
            if self.seat_all(chosen, tight) and self.offer():
                return
        if self.make_room(chosen, TRY_STEPS):
            return
        self.bins.go_to(self.search.place)
        self.close_singly(np.concatenate((self.order[chosen[self.order]], self.order[~chosen[self.order]])))
        self.close_more()

    def seat_all(self, closed: Bools, tight: bool, least: int = 1) -> bool:
        """Seat guests of closed hosts, the largest first, in bundles of `least` or more; tell whether all could be."""
        tables, state = self.bins.tables, self.bins.state
        many = np.diff(self.bundles.first)[self.bundles.of]
        guests = np.flatnonzero(closed[state.host] & (many >= least))
        sources = state.host[guests]
        keys, row = np.unique(np.stack((self.bundles.of[guests], sources)), axis=1, return_inverse=True)
        size = np.zeros((keys.shape[1], self.bins.sizes.shape[1]))
        np.add.at(size, row.reshape(-1), self.bins.sizes[guests])
        order = np.lexsort((keys[0], -size.max(axis=1, initial=0.0)))
        bundles, sources = np.ascontiguousarray(keys[0][order]), np.ascontiguousarray(keys[1][order])
        at_once = max(1, SLICE // self.instance.hosts)
        for i in range(0, len(bundles), at_once):
            if self.over():
                return False
            batch = slice(i, i + at_once)
            self.meter.work(STEP_WORK * len(bundles[batch]) * self.instance.hosts)
            if seat_bundles(tables, state, self.bundles, closed, bundles[batch], sources[batch], tight):
                return False
        return True

    def make_room(self, closed: Bools, steps_a_guest: int) -> bool:
        """Close hosts by annealing, in which all others' guests may move at a price; offer it when that succeeds."""
        bins, instance = self.bins, self.instance
        if instance.transient.any():
            return False
        unit = bins.unit()
        mib = instance.mib / max(1.0, float(instance.mib[instance.movable].mean()))
        repack = make_repack(bins.tables, bins.weight, AWAY * unit * mib)
        shut = closed.copy()
        if instance.outside >= 0:
            shut[instance.outside] = True
        bins.go_to(self.search.place)
        # Annealing moves guests one by one, which would part those that belong together.
        if not self.seat_all(shut, tight=True, least=2):
            return False
        start(bins.tables, bins.state, repack, shut)
        if bins.state.count[shut].any():
            return False
        steps, made = steps_a_guest * len(instance.movable), 0
        cooling = (COLD / HOT) ** (1.0 / max(1, steps // COOL_EVERY))
        temperature = HOT * unit
        while made < steps and not self.over():
            now = min(3 * SLICE_STEPS, steps - made)
            done = repack_steps(bins.tables, bins.state, repack, now, temperature, cooling, False)
            bins.count_work(self.meter, max(1, done))
            temperature *= cooling ** (now // COOL_EVERY)
            made += now
            if done < now:
                break
        if repack.sums[LEAST_EXCESS] > 0.0:
            return False
        bins.go_to(repack.best)
        self.send_home()
        return self.offer()

    def send_home(self) -> None:
        """Let guests that moved go home where that is better, the largest first, until no more do."""
        instance = self.instance
        while not self.over():
            moved = np.flatnonzero(instance.moved(self.bins.state.place))
            moved = moved[np.argsort(-instance.mib[moved], kind="stable")].astype(np.int64)
            self.meter.work(STEP_WORK * (1 + len(moved)))
            if not go_home(self.bins.tables, self.bins.state, moved):
                return

    def close_singly(self, order: Ints) -> None:
        """Close hosts one by one where each can be with what room there is."""
        nobody = np.zeros(0, dtype=np.int64)
        closed = self.asleep().copy()
        for h in order[~closed[order]].tolist():
            if self.over() or int(closed.sum()) >= self.most:
                break
            self.change(closed, -1, h, nobody)
        self.offer()

    def change(self, closed: Bools, opened: int, shut: int, homely: Ints) -> bool:
        """Open a host and shut another where that is better; `closed` follows."""
        state = self.bins.state
        self.meter.work(STEP_WORK * (1 + int(state.count[shut])) * self.instance.hosts)
        return change_hosts(self.bins.tables, state, self.bundles, closed, opened, shut, homely)

    def close_more(self) -> None:
        """Close one host more, again and again, making room for its guests, with more effort when all tries failed."""
        steps = TRY_STEPS
        while not self.over() and steps <= MOST_TRY_STEPS:
            closed = self.asleep()
            if int(closed.sum()) >= self.most:
                return
            for h in self.order[~closed[self.order]][:8].tolist():
                more = closed.copy()
                more[h] = True
                if self.sleep.reserve_holds(more) and self.make_room(more, steps):
                    break
            else:
                steps *= 4

    def improve(self) -> None:
        """Exchange hosts and anneal by turns, until a round gains next to nothing."""
        search = self.search
        self.bins.go_to(search.place)
        self.raise_prices()
        for _ in range(ROUNDS):
            before = self.priced
            raise_bounds(search, self.bound)
            self.polish(SEAT_STEPS if search.value.mib <= search.bounds[MIB] else POLISH_STEPS)
            self.exchange()
            if self.over() or (before - self.priced) * LITTLE <= search.start.goal - search.value.goal:
                return

    def raise_prices(self) -> None:
        """Let each MiB cost a part of what has been saved by each that is moved so far."""
        bins, value = self.bins, self.search.value
        saved = max(0, self.search.start.goal - value.goal)
        extra = np.rint(FURTHER * saved / max(1, value.mib) * self.instance.mib).astype(np.int64)
        moved = self.instance.moved(bins.state.place)
        bins.tables = bins.tables._replace(price=bins.tables.price + extra)
        bins.state.totals[GOAL] += int(extra[moved].sum())
        self.net = self.net - self.bound.per_host(np.where(self.bound.reach.counted, extra[self.instance.movable], 0))

    @property
    def priced(self) -> int:
        """The goal of the state with the raised prices."""
        return int(self.bins.state.totals[GOAL])

    def exchange(self) -> None:
        """Open one host for another, those first that promise most, until none is better."""
        homes = self.instance.host_of(self.instance.home)
        state = self.bins.state
        closed = state.asleep & self.bound.able
        found = True
        while found and not self.over():
            found = False
            for shut, opened in zip(*(hosts.tolist() for hosts in self.pairs(closed)), strict=True):
                if self.over():
                    break
                if closed[shut] or not closed[opened] or state.count[shut] == 0:
                    continue
                homely = np.flatnonzero(homes == opened).astype(np.int64)
                found |= self.change(closed, opened, shut, homely)
        self.send_home()
        self.offer()

    def pairs(self, closed: Bools) -> tuple[Ints, Ints]:
        """Hosts to shut, each with one to open instead, best first; those that promise more than others moved cost."""
        instance = self.instance
        moved = instance.moved(self.bins.state.place) & ~closed[instance.host_of(instance.home)]
        slack = float(np.maximum(0, self.bins.tables.price[moved]).sum())
        shut = self.order[~closed[self.order]]
        opened = np.flatnonzero(closed & np.isfinite(self.net))
        gain = self.net[shut][:, None] - self.net[opened][None, :]
        i, k = np.nonzero(gain + slack > 0)
        best = np.argsort(-gain[i, k], kind="stable")[:MOST_PAIRS]
        return shut[i[best]], opened[k[best]].astype(np.int64)

    def polish(self, steps_a_guest: int) -> None:
        """Anneal from a low temperature, at which no host wakes, and go on from the best that was met."""
        bins = self.bins
        price = bins.tables.price[self.instance.movable]
        price = price[price > 0]
        if not len(price):
            return
        hot = HEAT * float(np.median(price))
        steps = steps_a_guest * len(self.instance.movable)
        best, place = self.priced, bins.state.place.copy()
        for made in range(0, steps, SLICE_STEPS):
            if self.over():
                break
            anneal(bins.tables, bins.state, SLICE_STEPS, hot * COOL ** (made / steps), SWAPS)
            bins.count_work(self.meter, SLICE_STEPS)
            if self.priced < best:
                best, place = self.priced, bins.state.place.copy()
        bins.go_to(place)
        self.send_home()
        self.offer()
