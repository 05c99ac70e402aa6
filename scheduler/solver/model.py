"""The CP-SAT model of an instance, or of a part of it: some movable guests over some hosts, all else as it stands.

Variables only for free guests and seats they may take. Every constraint is that of `evaluate.why_not_valid`; every tier
is a linear expression that equals the exact integer of `evaluate.evaluate` (the goal exactly when `coarse` is 1). What
is fixed is not modelled at all: it makes up the difference between a tier's expression and its value at the start.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from cluster.rules import Enforcement
from scheduler.solver.evaluate import BROKEN, GOAL, HARD, LEFT, MIB, MOVES, OVERLOAD, TIERS, Value, evaluate, occupied
from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import Instance
from scheduler.solver.linear import Linear, Program
from scheduler.solver.links import Links
from scheduler.solver.model_forms import broken_things
from scheduler.solver.model_goal import add_goal


class Model:
    """Variables and constraints around the incumbent `place`, int[guests], with `asleep` bool[hosts].

    `positions` are the movable guests set free, by their position in `movable`, `hosts` bool[hosts] where they may go
    beside the place they have. Guests that nothing tells apart are one item, named by its first guest: `items` has its
    guests, `of_item` by seat how many of them are there. `at_host[host]` are the (item, variable) pairs of a host's
    seats, `on[host]` the boolean of a host that may sleep; `tiers` are the expressions. `links`, `value` and `use` are
    those of the incumbent, where the caller has them.
    """

    def __init__(
        self,
        instance: Instance,
        place: Index,
        positions: Index,
        hosts: Bools,
        *,
        asleep: Bools | None = None,
        coarse: int = 1,
        links: Links | None = None,
        value: Value | None = None,
        use: Ints | None = None,
    ) -> None:
        self.instance = instance
        self.place = place.copy()
        self.host = instance.host_of(place)
        if asleep is None and instance.goal.sleep is not None:
            asleep = instance.goal.sleep.derive(occupied(instance, place))
        self.asleep = asleep
        self.coarse = coarse
        self.links = links or Links(instance)
        self.value = evaluate(instance, place, asleep) if value is None else value
        self.program = Program()
        self.on: dict[int, int] = {}
        self.items: dict[int, list[int]] = {}
        self.of_item: dict[int, dict[int, int]] = {}
        self.cells: dict[tuple[int, int], dict[int, Linear]] = {}
        self.at_host: dict[int, list[tuple[int, int]]] = {}
        self.tiers = [Linear() for _ in range(TIERS)]
        self.use_at_start = instance.use(place) if use is None else use
        self.free = np.zeros(instance.guests, dtype=np.bool_)
        self.free[instance.movable[positions]] = True
        self.moved_at_start = instance.moved(place)
        self._homes = instance.host_of(instance.home)
        self._variables(positions, hosts)
        self.touched = sorted(self.at_host)
        self.hosts = np.union1d(self.touched, np.flatnonzero(hosts)).astype(np.intp)
        self.use = self._uses()
        self._capacity()
        self._transient()
        self._left()
        self._overload()
        self.soft_broken = self._forms()
        add_goal(self)
        self._moves()
        for tier in (HARD, BROKEN, OVERLOAD, LEFT, GOAL):
            self._settle(self.tiers[tier], self.value[tier])

    # What may be asked

    def moved(self, item: int) -> Linear:
        """Return the expression of how many guests of an item have been moved."""
        if self._homes[item] == self.instance.outside:
            return Linear()
        at_home = self.of_item[item].get(int(self.instance.home[item]))
        return Linear(len(self.items[item]), {} if at_home is None else {at_home: -1})

    def place_of(self, solution: list[int]) -> Index:
        """Return the placement that values of the variables stand for."""
        place = self.place.copy()
        for item, row in self.of_item.items():
            wanted = {seat: solution[variable] for seat, variable in row.items() if solution[variable]}
            elsewhere = []
            for guest in self.items[item]:
                here = int(place[guest])
                if wanted.get(here, 0):
                    wanted[here] -= 1
                else:
                    elsewhere.append(guest)
            place[elsewhere] = [seat for seat, many in sorted(wanted.items()) for _ in range(many)]
        return place

    def asleep_of(self, solution: list[int]) -> Bools | None:
        """Return the hosts asleep that values of the variables stand for; `None` where none may ever be."""
        if self.asleep is None:
            return None
        asleep = self.asleep.copy()
        for host, on in self.on.items():
            asleep[host] = not solution[on]
        return asleep

    # Variables

    def _variables(self, positions: Index, hosts: Bools) -> None:
        program = self.program
        movable = self.instance.movable
        position_of = dict(zip(movable[positions].tolist(), positions.tolist(), strict=True))
        for guests in self.links.alike(movable[positions]):
            item, many = guests[0], len(guests)
            here = Counter(self.place[guests].tolist())
            seats = sorted({*self._seats(position_of[item], item, hosts).tolist(), *here})
            row = {seat: program.integer(0, many, here[seat]) for seat in seats}
            program.share_out(many, row.values())
            self.items[item], self.of_item[item] = guests, row
            for seat, variable in row.items():
                self.at_host.setdefault(seat // self.instance.modes, []).append((item, variable))

    def _seats(self, position: int, guest: int, hosts: Bools) -> Index:
        """Seats for a guest on `hosts`, with room for it when the host is empty."""
        instance = self.instance
        may = np.flatnonzero(instance.may_use(position) & hosts)
        room = np.minimum(instance.cap[may], instance.headroom[may])
        room[may == self._homes[guest]] = instance.cap[self._homes[guest]]
        fits = (instance.demand[guest][None, :, :] <= room[:, None, :]).all(axis=2) & instance.usable[guest]
        seats: Index = (may[:, None] * instance.modes + np.arange(instance.modes))[fits]
        return seats

    # Constraints

    def _uses(self) -> dict[int, list[Linear]]:
        """Use of every host touched, per resource."""
        instance = self.instance
        fixed = self.use_at_start[self.touched].copy()
        where = {host: i for i, host in enumerate(self.touched)}
        for guest in np.flatnonzero(self.free).tolist():
            host, mode = divmod(int(self.place[guest]), instance.modes)
            fixed[where[host]] -= instance.demand[guest, mode]
        uses = {host: [Linear(amount) for amount in fixed[i].tolist()] for host, i in where.items()}
        for item, row in self.of_item.items():
            demand = [[(i, one) for i, one in enumerate(mode) if one] for mode in instance.demand[item].tolist()]
            for seat, variable in row.items():
                host, mode = divmod(seat, instance.modes)
                use = uses[host]
                for resource, amount in demand[mode]:
                    use[resource].add(variable, amount)
        return uses

    def _capacity(self) -> None:
        instance, program = self.instance, self.program
        came = set(self.host[(self.host != self._homes) & ~self.free].tolist())
        for host in self.touched:
            received: int | None = None
            for resource, use in enumerate(self.use[host]):
                most = int(instance.cap[host, resource])
                tight = min(most, int(instance.headroom[host, resource]))
                possible = program.most(use)
                if host in came:
                    most = tight
                if possible > most and not (instance.transient[resource] and most > tight):
                    program.keep(use, most=most)
                if tight < most and possible > tight:
                    if received is None:
                        received = self._received(host)
                    program.keep(use, most=tight, only_if=received)

    def _received(self, host: int) -> int:
        """Boolean that is true when a free guest that started elsewhere is on the host."""
        came = [variable for item, variable in self.at_host[host] if self._homes[item] != host]
        received = self.program.boolean(any(self.program.start[variable] for variable in came))
        for variable in came:
            self.program.needs(variable, received)
        return received

    def _transient(self) -> None:
        """Keep use within the cap with moved guests counted where they come from, too."""
        instance = self.instance
        counted = np.flatnonzero(instance.transient)
        if not len(counted):
            return
        leaving: dict[int, list[Linear]] = {host: [Linear() for _ in counted] for host in self.touched}
        gone = np.flatnonzero(self.moved_at_start & ~self.free)
        for guest in (*self.of_item, *gone[np.isin(self._homes[gone], self.touched)].tolist()):
            host, mode = divmod(int(instance.home[guest]), instance.modes)
            moved = self.moved(guest) if self.free[guest] else Linear(1)
            if host in leaving:
                for total, amount in zip(leaving[host], instance.demand[guest, mode, counted].tolist(), strict=True):
                    total.join(moved, amount)
        for host, totals in leaving.items():
            for total, resource in zip(totals, counted.tolist(), strict=True):
                total.join(self.use[host][resource])
                most = int(instance.cap[host, resource])
                if self.program.most(total) > most:
                    self.program.keep(total, most=most)

    def _left(self) -> None:
        goal = self.instance.goal
        for item, row in self.of_item.items():
            for seat, variable in row.items():
                if goal.left[seat // self.instance.modes]:
                    self.tiers[LEFT].add(variable, int(goal.left_weight[item]))

    def _overload(self) -> None:
        instance, program = self.instance, self.program
        for host in self.touched:
            for resource, used in enumerate(self.use[host]):
                limit, most = int(instance.limit[host, resource]), int(instance.cap[host, resource])
                if most <= limit or not instance.plannable[host] or not used.terms:
                    continue
                scale, room = instance.overload_ratio(host, resource)
                now = max(0, program.at_start(used) - limit)
                over = program.integer(0, -(-(most - limit) * scale // room), -(-now * scale // room))
                program.keep(Linear(0, {over: room}).join(used, -scale), least=-scale * limit)
                self.tiers[OVERLOAD].add(over)

    def _moves(self) -> None:
        instance, program = self.instance, self.program
        moves, mib = self.tiers[MOVES], self.tiers[MIB]
        for item in self.of_item:
            moved = self.moved(item)
            moves.join(moved)
            mib.join(moved, int(instance.mib[item]))
        self._settle(moves, self.value.moves)
        self._settle(mib, self.value.mib)
        for total, most in ((moves, instance.max_moves), (mib, instance.max_mib)):
            if program.most(total) > most:
                program.keep(total, most=most)
        for number in self.links.caps_of(np.flatnonzero(self.free)):
            cap = instance.move_caps[number]
            group = Linear(int(self.moved_at_start[cap.members[~self.free[cap.members]]].sum()))
            for guest in cap.members[self.free[cap.members]].tolist():
                group.join(self.moved(guest))
            if program.most(group) > cap.at_most:
                program.keep(group, most=cap.at_most)

    def _forms(self) -> dict[int, Linear]:
        """Add the forms with free members; return what the soft ones count as broken, by their number."""
        soft: dict[int, Linear] = {}
        for number in self.links.forms_of(np.flatnonzero(self.free)):
            form = self.instance.forms[number]
            most = self.links.at_home(number) if form.binding else None
            broken = broken_things(self, form, holds=most == 0)
            if most == 0:
                continue
            self._settle(broken, form.broken(self.host))
            if most and self.program.most(broken) > most:
                self.program.keep(broken, most=most)
            if not form.binding:
                soft[number] = broken
                continue
            self.tiers[BROKEN].join(broken)
            if form.enforcement is Enforcement.HARD:
                self.tiers[HARD].join(broken)
        return soft

    def _settle(self, expression: Linear, value: int) -> None:
        """Let an expression have its value at the start: the difference is what is fixed."""
        expression.constant += value - self.program.at_start(expression)
