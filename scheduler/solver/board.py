"""A placement under change: use per host, and for every movable guest and host what a shift there would change.

All tables are [hosts, movable] and kept up to date by `shift`, which touches two rows and the columns of the guest's
forms. Nothing here decides anything.
"""

from __future__ import annotations

import numpy as np

from cluster.rules import Enforcement
from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import Instance

HARD_WEIGHT = 1 << 12
"""How many broken things of repair rules one of a hard rule outweighs in the search."""
BROKEN_WEIGHT = 1 << 36
"""How many millionths of overload one broken thing outweighs in the search."""


class Board:
    """Mutable search state over an instance, starting at `place`.

    `goal()`[h, m] is the change of the goal when movable guest m goes to host h; `repair()`
    likewise of broken rules and overload in one figure; `open()`[h, m] tells whether the shift keeps to every limit.
    """

    def __init__(self, instance: Instance, place: Index) -> None:
        self.instance = instance
        self.place = place.copy()
        self.use = instance.use(place)
        self.cap = instance.cap.copy()
        self.allowed = instance.allowed.copy()
        movable = instance.movable
        self.demand = instance.demand[movable]
        self.home = instance.home[movable]
        self.all = np.arange(len(movable))
        shape = instance.allowed.shape
        price = instance.goal.price[movable]
        self._price = np.where(np.arange(shape[0])[:, None] == self.home[None, :], 0, price[None, :])
        self._soft = np.zeros(shape, dtype=np.int64)
        self._broken = np.zeros(shape, dtype=np.int64)
        self._barred = np.zeros(shape, dtype=np.int16)
        self.fits = np.zeros(shape, dtype=np.bool_)
        self._add = np.zeros(shape, dtype=np.int64)
        self._over_add = np.zeros(shape, dtype=np.int64)
        self._goal_leave = np.zeros(len(movable), dtype=np.int64)
        self._over_leave = np.zeros(len(movable), dtype=np.int64)
        self.position = np.full(len(place), -1, dtype=np.intp)
        self.position[movable] = self.all
        self._form_caps = [form.broken(instance.home) for form in instance.forms]
        self._form_tables: list[tuple[Index, Ints, Bools]] = []
        self._forms_of: dict[int, list[int]] = {}
        self._watch_forms()
        self._refresh_all()

    # What may be asked

    @property
    def moved(self) -> Bools:
        """Which movable guests are away from where they started, bool[movable]."""
        here: Bools = self.place[self.instance.movable] != self.home
        return here

    def open(self) -> Bools:
        """Shifts that keep to capacity, rules and caps, bool[hosts, movable]."""
        allowed: Bools = self.fits & self.allowed & (self._barred == 0)
        allowed[self.place[self.instance.movable], self.all] = False
        allowed[:, self.capped()] = False
        return allowed

    def capped(self) -> Bools:
        """Guests that may not be moved because a cap on moves is reached, bool[movable]."""
        moved = self.moved
        if int(moved.sum()) >= self.instance.max_moves:
            return ~moved
        capped = np.zeros(len(moved), dtype=np.bool_)
        for cap in self.instance.move_caps:
            positions = self.position[cap.members]
            positions = positions[positions >= 0]
            if int(moved[positions].sum()) >= cap.at_most:
                capped[positions] |= ~moved[positions]
        return capped

    def goal(self) -> Ints:
        """Change of the goal, int64[hosts, movable]."""
        change: Ints = self._add + self._price
        if self.instance.soft:
            change += self._soft
        change += self._goal_leave - self._price[self.place[self.instance.movable], self.all]
        return change

    def goal_of(self, column: int) -> Ints:
        """Change of the goal for one guest, int64[hosts]."""
        here = self.place[self.instance.movable[column]]
        change: Ints = self._add[:, column] + self._price[:, column] + self._soft[:, column]
        change += self._goal_leave[column] - self._price[here, column]
        return change

    def repair(self) -> Ints:
        """Change of broken rules and overload in one figure, int64[hosts, movable]."""
        change: Ints = self._broken * BROKEN_WEIGHT + self._over_add
        change += self._over_leave
        return change

    def breaks(self) -> Ints:
        """Change of broken binding rules alone, weighted, int64[hosts, movable]."""
        return self._broken

    def rules_hold(self) -> bool:
        """Tell whether no binding rule is over its cap now."""
        forms = zip(self.instance.forms, self._form_caps, strict=True)
        return all(not form.binding or form.broken(self.place) <= cap for form, cap in forms)

    # What may be done

    def shift(self, column: int, host: int) -> None:
        """Put a movable guest on a host, whatever the limits say."""
        guest = int(self.instance.movable[column])
        source = int(self.place[guest])
        if source == host:
            return
        self.place[guest] = host
        self.use[source] -= self.instance.demand[guest]
        self.use[host] += self.instance.demand[guest]
        self._refresh_host(source)
        self._refresh_host(host)
        for form in self._forms_of.get(guest, ()):
            self._refresh_form(form)

    def tighten(self) -> None:
        """Let nothing that is mended now break again: caps of use and of rules shrink to what is."""
        self.cap = np.maximum(self.instance.limit, np.minimum(self.cap, self.use))
        for i, form in enumerate(self.instance.forms):
            if form.binding:
                self._form_caps[i] = form.broken(self.place)
                self._refresh_form(i)
        self._refresh_all()

    # Upkeep

    def _refresh_all(self) -> None:
        # Rows of hosts that no movable guest is on or may go to are never read.
        concerned = np.asarray(self.allowed.any(axis=1))
        concerned[self.place[self.instance.movable]] = True
        for host in np.flatnonzero(concerned).tolist():
            self._refresh_host(host)

    def _refresh_host(self, host: int) -> None:
        instance, movable = self.instance, self.instance.movable
        if not len(movable):
            return
        index = np.full(len(movable), host, dtype=np.intp)
        one = index[:1]
        use = self.use[host]
        here = np.flatnonzero(self.place[movable] == host)
        received = bool((self.home[here] != host).any())
        cost = int(instance.goal.cost.at(one, use[None])[0])
        overload = int(instance.overload(one, use[None])[0])
        may_overload = overload > 0 or bool((self.cap[host] > instance.limit[host]).any())
        if instance.target[host]:
            then = use + self.demand
            most = np.minimum(self.cap[host], instance.headroom[host])
            self.fits[host] = (then <= most).all(axis=1)
            if not received:
                natives = self.home == host
                self.fits[host, natives] = (then[natives] <= self.cap[host]).all(axis=1)
        else:
            natives = self.home == host
            then = use + self.demand
            self.fits[host, natives] = (then[natives] <= self.cap[host]).all(axis=1)
        self._add[host] = instance.goal.cost.at(index, then) - cost
        if may_overload:
            self._over_add[host] = instance.overload(index, then) - overload
        if len(here):
            without = use - self.demand[here]
            self._goal_leave[here] = instance.goal.cost.at(index[: len(here)], without) - cost
            self._over_leave[here] = instance.overload(index[: len(here)], without) - overload if overload else 0

    def _watch_forms(self) -> None:
        for i, form in enumerate(self.instance.forms):
            positions = self.position[form.members]
            columns = positions[positions >= 0]
            empty = np.zeros((len(form.cell), len(columns)), dtype=np.int64)
            self._form_tables.append((columns, empty, empty.astype(np.bool_)))
            for guest in form.members.tolist():
                self._forms_of.setdefault(guest, []).append(i)
            self._refresh_form(i)

    def _refresh_form(self, i: int) -> None:
        form = self.instance.forms[i]
        columns, change_before, barred_before = self._form_tables[i]
        if not len(columns):
            return
        change = form.deltas(self.place)[:, self.position[form.members] >= 0]
        if form.binding:
            weight = HARD_WEIGHT if form.enforcement is Enforcement.HARD else 1
            change = change * weight
            barred = change > (self._form_caps[i] - form.broken(self.place)) * weight
            self._broken[:, columns] += change - change_before
            self._barred[:, columns] += barred.astype(np.int16) - barred_before.astype(np.int16)
        else:
            change = change * self.instance.goal.soft_weights[self.instance.soft.index(form)]
            barred = barred_before
            self._soft[:, columns] += change - change_before
        self._form_tables[i] = (columns, change, barred)
