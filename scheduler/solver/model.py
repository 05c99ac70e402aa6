"""The CP-SAT model of an instance, or of a part of it: some movable guests over some hosts, all else as it stands.

Booleans only for free guests and seats they may take. Every constraint is that of `evaluate.why_not_valid`; every tier
is a linear expression that equals the exact integer of `evaluate.evaluate` (the goal exactly when `coarse` is 1). What
is fixed is not modelled at all: it makes up the difference between a tier's expression and its value at the start.
"""

from __future__ import annotations

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
    beside the place they have. `x[position, seat]` are the booleans, `at_host[host]` the (guest, boolean) pairs of a
    host's seats, `on[host]` the boolean of a host that may sleep; `tiers` are the expressions. `links`, `value` and
    `use` are those of the incumbent, where the caller has them.
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
        if asleep is None and instance.goal.sleep is not None:
            asleep = instance.goal.sleep.derive(occupied(instance, place))
        self.asleep = asleep
        self.coarse = coarse
        self.links = links or Links(instance)
        self.value = evaluate(instance, place, asleep) if value is None else value
        self.program = Program()
        self.x: dict[tuple[int, int], int] = {}
        self.on: dict[int, int] = {}
        self.of_guest: dict[int, dict[int, int]] = {}
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

    def moved(self, guest: int) -> Linear:
        """Return the expression that is 1 when a free guest has been moved."""
        if self._homes[guest] == self.instance.outside:
            return Linear()
        at_home = self.of_guest[guest].get(int(self.instance.home[guest]))
        return Linear(1) if at_home is None else Linear(1, {at_home: -1})

    def place_of(self, solution: list[int]) -> Index:
        """Return the placement that values of the variables stand for."""
        place = self.place.copy()
        for (position, seat), variable in self.x.items():
            if solution[variable]:
                place[self.instance.movable[position]] = seat
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
        for position in positions.tolist():
            guest = int(self.instance.movable[position])
            seats = self._seats(position, guest, hosts).tolist()
            row = {seat: program.boolean(seat == self.place[guest]) for seat in seats}
            program.exactly_one(row.values())
            self.of_guest[guest] = row
            for seat, variable in row.items():
                self.x[position, seat] = variable
                self.at_host.setdefault(seat // self.instance.modes, []).append((guest, variable))

    def _seats(self, position: int, guest: int, hosts: Bools) -> Index:
        """Seats for a guest on `hosts`, with room for it when the host is empty, and the one it has."""
        instance = self.instance
        may = np.flatnonzero(instance.may_use(position) & hosts)
        room = np.minimum(instance.cap[may], instance.headroom[may])
        room[may == self._homes[guest]] = instance.cap[self._homes[guest]]
        fits = (instance.demand[guest][None, :, :] <= room[:, None, :]).all(axis=2)
        seats = (may[:, None] * instance.modes + np.arange(instance.modes))[fits]
        return np.union1d(seats, self.place[guest : guest + 1]).astype(np.intp)

    # Constraints

    def _uses(self) -> dict[int, list[Linear]]:
        """Use of every host touched, per resource."""
        instance = self.instance
        fixed = self.use_at_start[self.touched].copy()
        where = {host: i for i, host in enumerate(self.touched)}
        for guest in self.of_guest:
            host, mode = divmod(int(self.place[guest]), instance.modes)
            fixed[where[host]] -= instance.demand[guest, mode]
        uses = {host: [Linear(amount) for amount in fixed[i].tolist()] for host, i in where.items()}
        for guest, row in self.of_guest.items():
            demand = [[(i, one) for i, one in enumerate(mode) if one] for mode in instance.demand[guest].tolist()]
            for seat, variable in row.items():
                host, mode = divmod(seat, instance.modes)
                use = uses[host]
                for resource, amount in demand[mode]:
                    use[resource].add(variable, amount)
        return uses

    def _capacity(self) -> None:
        instance, program = self.instance, self.program
        hosts = instance.host_of(self.place)
        came = set(hosts[(hosts != self._homes) & ~self.free].tolist())
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
        came = [variable for guest, variable in self.at_host[host] if self._homes[guest] != host]
        received = self.program.boolean(any(self.program.start[variable] for variable in came))
        for variable in came:
            self.program.implies(variable, received)
        return received

    def _transient(self) -> None:
        """Keep use within the cap with moved guests counted where they come from, too."""
        instance = self.instance
        counted = np.flatnonzero(instance.transient)
        if not len(counted):
            return
        leaving: dict[int, list[Linear]] = {host: [Linear() for _ in counted] for host in self.touched}
        gone = np.flatnonzero(self.moved_at_start & ~self.free)
        for guest in (*self.of_guest, *gone[np.isin(self._homes[gone], self.touched)].tolist()):
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
        for guest, row in self.of_guest.items():
            for seat, variable in row.items():
                if goal.left[seat // self.instance.modes]:
                    self.tiers[LEFT].add(variable, int(goal.left_weight[guest]))

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
        for guest in self.of_guest:
            moved = self.moved(guest)
            moves.join(moved)
            mib.join(moved, int(instance.mib[guest]))
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
        hosts = self.instance.host_of(self.place)
        for number in self.links.forms_of(np.flatnonzero(self.free)):
            form = self.instance.forms[number]
            most = self.links.at_home(number) if form.binding else None
            broken = broken_things(self, form, holds=most == 0)
            self._settle(broken, form.broken(hosts))
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
