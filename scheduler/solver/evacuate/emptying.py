"""Closing hosts: all at once where their guests find seats, else one by one, else by making room for them.

First all hosts that are worth it are closed and their guests seated, the largest first: nobody else moves, so nothing
cheaper exists where that works. Where it does not, hosts are closed by annealing in which guests of other hosts make
room, each at a price, or one by one.
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.bounds.asleep import AsleepBound
from scheduler.solver.evacuate.bundles import make_bundles
from scheduler.solver.evacuate.choose import Floats, choose, in_order, net_savings
from scheduler.solver.evaluate import GOAL, MIB, MOVES
from scheduler.solver.forms import Bools, Ints
from scheduler.solver.kernels.repack import LEAST_EXCESS, make_repack, repack_steps, start
from scheduler.solver.kernels.reseat import change_hosts, go_home, seat_bundles
from scheduler.solver.kernels.state import CAPPED, WORSE
from scheduler.solver.meter import Meter
from scheduler.solver.packing.bins import STEP_WORK, Bins
from scheduler.solver.search import Search

SLICE = 300_000
"""Seats looked at in one call of compiled code."""
PORTION = 5_000_000
"""Seats looked at before what is reached is offered."""
SLICE_STEPS = 60_000
AWAY = 0.03
"""Price of a guest of mean memory for not being at home, in mean relative sizes of a guest in excess."""
HOT, COLD = 0.04, 0.002
"""Temperatures of making room at its start and its end, in mean relative sizes of a guest."""
COOL_EVERY = 1024
TRY_STEPS, MOST_TRY_STEPS = 200, 3200
"""Proposals per guest for closing one host more, in the first round of tries and at most."""
CANDIDATES, CHOICES = 8, 6
"""Hosts tried in a round, and choices of hosts to close together: without those that their guests could not leave."""


class Emptying:
    """A search's incumbent in compiled form, and the hosts in the order in which they are worth closing.

    `held` bool[hosts] are those which some guest could not leave when they were last closed together.
    """

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
        self.taken, self.spare = self.bound.taken, self.bound.spare
        self.order = in_order(self.taken, self.spare, self.net)
        self.held = np.zeros(instance.hosts, dtype=np.bool_)
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
        order = self.order
        for _ in range(CHOICES):
            chosen = choose(self.taken, self.spare, self.net, order, self.most)
            if self.close_at_once(chosen) or self.over():
                return
            if not self.held.any():
                break
            order = order[~self.held[order]]
        self.bins.go_to(self.search.place)
        self.close_singly(np.concatenate((order[chosen[order]], self.order[~chosen[self.order]])))
        self.close_more()

    def close_at_once(self, chosen: Bools) -> bool:
        """Close hosts together; tell whether that was done."""
        place = self.search.place
        for tight in (False, True):
            self.bins.go_to(place)
            if self.seat_in_portions(chosen, tight):
                return True
        return self.make_room(chosen, TRY_STEPS)

    def seat_in_portions(self, closed: Bools, tight: bool) -> bool:
        """Seat the guests of some closed hosts, then of others, so that there is something to show early."""
        hosts = self.order[closed[self.order]]
        portion = np.cumsum(self.bins.state.count[hosts]) * self.instance.hosts // PORTION
        better = False
        for number in np.unique(portion).tolist():
            some = np.zeros_like(closed)
            some[hosts[portion == number]] = True
            if not self.seat_all(closed, some, tight):
                return False
            better = self.offer()
        return better

    def seat_all(self, closed: Bools, sources: Bools, tight: bool, least: int = 1, rest: bool = False) -> bool:
        """Seat guests of closed hosts, the largest first, in bundles of `least` or more; tell whether all could be.

        None goes to any of `closed` bool[hosts]; those of `sources` bool[hosts] leave. After one that finds no seat
        the `rest` is seated or not.
        """
        tables, state = self.bins.tables, self.bins.state
        many = np.diff(self.bundles.first)[self.bundles.of]
        guests = np.flatnonzero(sources[state.host] & (many >= least))
        keys, row = np.unique(np.stack((self.bundles.of[guests], state.host[guests])), axis=1, return_inverse=True)
        size = np.zeros((keys.shape[1], self.bins.sizes.shape[1]))
        np.add.at(size, row.reshape(-1), self.bins.sizes[guests])
        order = np.lexsort((keys[0], -size.max(axis=1, initial=0.0)))
        bundles, leave = np.ascontiguousarray(keys[0][order]), np.ascontiguousarray(keys[1][order])
        at_once, good = max(1, SLICE // self.instance.hosts), True
        for i in range(0, len(bundles), at_once):
            if self.over():
                return False
            batch = slice(i, i + at_once)
            self.meter.work(STEP_WORK * len(bundles[batch]) * self.instance.hosts)
            good &= not seat_bundles(tables, state, self.bundles, closed, bundles[batch], leave[batch], tight)
            if not good and not rest:
                return False
        return good

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
        staying = np.diff(self.bundles.first)[self.bundles.of] > 1
        if self.seat_all(shut, shut, tight=True, least=2):
            self.seat_all(shut, shut, tight=True, rest=True)
            if int(bins.state.count[shut].sum()) * instance.hosts > PORTION or self.over():
                return False
            start(bins.tables, bins.state, repack, shut)
            staying[:] = True
        self.held = shut & (np.bincount(bins.state.host[staying], minlength=instance.hosts) > 0)
        if self.held.any():
            return False
        steps, made = steps_a_guest * len(instance.movable), 0
        cooling = (COLD / HOT) ** (1.0 / max(1, steps // COOL_EVERY))
        temperature = HOT * unit
        while made < steps and not self.over():
            now = min(SLICE_STEPS, steps - made)
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
            for h in self.order[~closed[self.order]][:CANDIDATES].tolist():
                more = closed.copy()
                more[h] = True
                if self.sleep.reserve_holds(more) and self.make_room(more, steps):
                    break
            else:
                steps *= 4
