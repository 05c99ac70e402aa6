"""The CP-SAT model of an instance, or of a part of it: some movable guests over some hosts, all else as it stands.

Booleans only for free guests and hosts they may use. Every constraint is that of `evaluate.why_not_valid`; every tier
is a linear expression that equals the exact integer of `evaluate.evaluate` (the goal exactly when `coarse` is 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from cluster.rules import Enforcement
from scheduler.solver.evaluate import BROKEN, HARD, LEFT, MIB, MOVES, OVERLOAD, TIERS
from scheduler.solver.forms import Apart, ArrayForm, AtLeast, Bools, Index, Masked, Together
from scheduler.solver.instance import Instance
from scheduler.solver.linear import Linear
from scheduler.solver.model_goal import add_goal


class Model:
    """Variables and constraints around the incumbent `place`.

    `columns` are the movable guests set free, `hosts` bool[hosts] where they may go beside the place they have. `x`
    maps (column, host) to its boolean; `on` maps a host that may sleep to its boolean; `tiers` are the expressions.
    """

    def __init__(self, instance: Instance, place: Index, columns: Index, hosts: Bools, coarse: int = 1) -> None:
        self.instance = instance
        self.place = place.copy()
        self.columns = columns
        self.coarse = coarse
        self.cp = cp_model.CpModel()
        self.x: dict[tuple[int, int], Any] = {}
        self.on: dict[int, Any] = {}
        self.of_guest: dict[int, dict[int, Any]] = {}
        self.derived: list[tuple[Any, int]] = []
        self.tiers = [Linear() for _ in range(TIERS)]
        free = np.zeros(len(place), dtype=np.bool_)
        free[instance.movable[columns]] = True
        self.fixed = np.flatnonzero(~free)
        self._variables(hosts)
        self.use = self._uses()
        self.touched = sorted({host for _, host in self.x})
        self._capacity()
        self._moves()
        self.soft_broken: list[Linear] = []
        for form in instance.forms:
            self._form(form)
        self._overload()
        add_goal(self)

    # Variables

    def _variables(self, hosts: Bools) -> None:
        instance = self.instance
        movable = instance.movable
        for column in self.columns.tolist():
            guest = int(movable[column])
            here = int(self.place[guest])
            may = instance.allowed[:, column] & hosts
            may[here] = True
            row: dict[int, Any] = {}
            for host in np.flatnonzero(may).tolist():
                row[host] = self.x[column, host] = self.boolean()
            self.cp.add_exactly_one(row.values())
            self.of_guest[guest] = row

    def boolean(self) -> Any:
        """Return a new boolean variable."""
        return self.cp.new_bool_var("")

    def integer(self, least: int, most: int) -> Any:
        """Return a new integer variable."""
        return self.cp.new_int_var(least, most, "")

    def hint(self, variable: Any, value: int) -> None:
        """Keep a derived variable's value in the placement the model was made from."""
        self.derived.append((variable, value))

    def on_host(self, guest: int, host: int) -> Any:
        """Boolean, or 0 or 1, telling whether a guest is on a host."""
        if guest in self.of_guest:
            return self.of_guest[guest].get(host, 0)
        return int(self.place[guest] == host)

    def in_cells(self, form: ArrayForm, guest: int) -> dict[int, Linear]:
        """For each cell the guest may be in, the expression that is 1 when it is there."""
        cells: dict[int, Linear] = {}
        if guest not in self.of_guest:
            return {int(form.cell[self.place[guest]]): Linear(1)}
        for host, variable in self.of_guest[guest].items():
            cells.setdefault(int(form.cell[host]), Linear()).add(variable)
        return cells

    # Constraints

    def _uses(self) -> list[list[Linear]]:
        instance = self.instance
        held = np.zeros_like(instance.room)
        np.add.at(held, self.place[self.fixed], instance.demand[self.fixed])
        uses = [[Linear(int(amount)) for amount in row] for row in held]
        for guest, row in self.of_guest.items():
            for host, variable in row.items():
                for resource in np.flatnonzero(instance.demand[guest]).tolist():
                    uses[host][resource].add(variable, int(instance.demand[guest, resource]))
        return uses

    def _capacity(self) -> None:
        instance = self.instance
        came = np.zeros(len(instance.host_ids), dtype=np.bool_)
        came[self.place[self.fixed][self.place[self.fixed] != instance.home[self.fixed]]] = True
        for host in self.touched:
            received: Any = None
            for resource, use in enumerate(self.use[host]):
                most, tight = int(instance.cap[host, resource]), int(instance.headroom[host, resource])
                if use.most() > most:
                    self.cp.add(use.expression <= most)
                if tight < most and use.most() > tight:
                    if received is None:
                        received = self._received(host, bool(came[host]))
                    self.cp.add(use.expression <= tight).only_enforce_if(received)

    def _received(self, host: int, already: bool) -> Any:
        """Boolean that is true when a guest that started elsewhere is on the host."""
        received = self.boolean()
        if already:
            self.cp.add(received == 1)
        for guest, row in self.of_guest.items():
            if host in row and int(self.instance.home[guest]) != host:
                self.cp.add_implication(row[host], received)
        return received

    def moved(self, guest: int) -> Linear:
        """Expression that is 1 when a guest is away from where it started."""
        home = self.on_host(guest, int(self.instance.home[guest]))
        moved = Linear(1)
        moved.add(home, -1)
        return moved

    def _moves(self) -> None:
        instance = self.instance
        away = self.fixed[self.place[self.fixed] != instance.home[self.fixed]]
        moves, mib = self.tiers[MOVES], self.tiers[MIB]
        moves.constant, mib.constant = len(away), int(instance.mib[away].sum())
        for guest in self.of_guest:
            moved = self.moved(guest)
            moves.join(moved)
            mib.join(moved, int(instance.mib[guest]))
        if instance.max_moves < len(instance.movable):
            self.cp.add(moves.expression <= instance.max_moves)
        for cap in instance.move_caps:
            group = Linear()
            for guest in cap.members.tolist():
                group.join(self.moved(guest))
            if group.variables:
                self.cp.add(group.expression <= cap.at_most)
        for row in self.of_guest.values():
            for host, variable in row.items():
                if instance.goal.drained[host]:
                    self.tiers[LEFT].add(variable)
        self.tiers[LEFT].constant += int(instance.goal.drained[self.place[self.fixed]].sum())

    def _overload(self) -> None:
        instance, total = self.instance, self.tiers[OVERLOAD]
        use = instance.use(self.place)
        rest = np.setdiff1d(np.arange(len(use)), np.array(self.touched, dtype=np.intp))
        total.constant = int(instance.overload(rest, use[rest]).sum())
        for host in self.touched:
            for resource, used in enumerate(self.use[host]):
                limit, most = int(instance.limit[host, resource]), int(instance.cap[host, resource])
                if most <= limit or not instance.plannable[host]:
                    continue
                scale, room = instance.overload_ratio(host, resource)
                over = self.integer(0, -(-(most - limit) * scale // room))
                self.cp.add(room * over >= scale * (used.expression - limit))
                total.add(over)

    # Forms

    def _form(self, form: ArrayForm) -> None:
        members = form.members.tolist()
        if not any(guest in self.of_guest for guest in members):
            broken = Linear(form.broken(self.place))
        else:
            most = form.broken(self.instance.home) if form.binding else None
            broken = self._broken(form, members, holds=most == 0)
            if most and broken.variables:
                self.cp.add(broken.expression <= most)
        if not form.binding:
            self.soft_broken.append(broken)
            return
        self.tiers[BROKEN].join(broken)
        if form.enforcement is Enforcement.HARD:
            self.tiers[HARD].join(broken)

    def _broken(self, form: ArrayForm, members: list[int], holds: bool) -> Linear:
        """Expression of what a form counts as broken, or constraints that keep it at 0 when it holds."""
        if isinstance(form, Masked):
            return self._outside(form, members)
        cells: dict[int, Linear] = {}
        where = {guest: self.in_cells(form, guest) for guest in members}
        for of_guest in where.values():
            for cell, there in of_guest.items():
                cells.setdefault(cell, Linear()).join(there)
        if isinstance(form, Apart):
            return self._apart(cells, holds)
        if isinstance(form, Together):
            return self._together(where, cells, holds)
        if isinstance(form, AtLeast):
            return self._at_least(form, cells, holds)
        return self._within(form, where, holds)

    def _outside(self, form: ArrayForm, members: list[int]) -> Linear:
        broken = Linear()
        for guest in members:
            outside = self.in_cells(form, guest).get(0)
            if outside is not None:
                broken.join(outside)
        return broken

    def _apart(self, cells: dict[int, Linear], holds: bool) -> Linear:
        broken = Linear()
        for held in cells.values():
            many = held.most()
            if many < 2:
                continue
            if holds:
                self.cp.add(held.expression <= 1)
                continue
            pairs = self.integer(0, many * (many - 1) // 2)
            for n in range(1, many):
                # The tangents of n (n - 1) / 2 at whole numbers, which are exact there.
                self.cp.add(pairs >= n * held.expression - n * (n + 1) // 2)
            broken.add(pairs)
        return broken

    def _together(self, where: dict[int, dict[int, Linear]], cells: dict[int, Linear], holds: bool) -> Linear:
        size = len(where)
        if size < 2:
            return Linear()
        if holds:
            first, *others = where.values()
            for other in others:
                for cell in sorted(set(first) | set(other)):
                    self.cp.add(first.get(cell, Linear()).expression == other.get(cell, Linear()).expression)
            return Linear()
        broken = Linear(size * (size - 1) // 2)
        for held in cells.values():
            many = held.most()
            count, pairs = self.integer(0, many), self.integer(0, many * (many - 1) // 2)
            self.cp.add(count == held.expression)
            self.cp.add_element(count, [n * (n - 1) // 2 for n in range(many + 1)], pairs)
            broken.add(pairs, -1)
        return broken

    def _at_least(self, form: ArrayForm, cells: dict[int, Linear], holds: bool) -> Linear:
        occupied = Linear()
        for held in cells.values():
            if held.constant:
                occupied.constant += 1
                continue
            one = self.boolean()
            self.cp.add(one <= held.expression)
            occupied.add(one)
        if holds:
            self.cp.add(occupied.expression >= form.at_least)
            return Linear()
        missing = self.integer(0, max(0, form.at_least))
        self.cp.add(missing >= form.at_least - occupied.expression)
        broken = Linear()
        broken.add(missing)
        return broken

    def _within(self, form: ArrayForm, where: dict[int, dict[int, Linear]], holds: bool) -> Linear:
        kinds = dict(zip(form.members.tolist(), form.kinds.tolist(), strict=True))
        broken = Linear()
        for guest, cells in where.items():
            if kinds[guest] == 1:
                continue
            alone: Any = 0 if holds else self.boolean()
            broken.add(alone)
            for cell, there in cells.items():
                providers = Linear()
                for other, of_other in where.items():
                    if other != guest and kinds[other] != 0 and cell in of_other:
                        providers.join(of_other[cell])
                self.cp.add(providers.expression + alone >= there.expression)
        return broken
