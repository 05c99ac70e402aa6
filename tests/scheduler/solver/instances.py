"""Random small instances of the array form, with everything it has: what no policy of ours makes is drawn too.

An instance is a function of one seed, so that a failure is told by a number: `random_instance(seed)`.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from hypothesis import note
from hypothesis import strategies as st

from cluster.rules import Enforcement
from scheduler.solver.forms import Apart, ArrayForm, AtLeast, Index, Ints, Masked, MoveCap, Together, Within
from scheduler.solver.goal import Crowd, GoalArrays, PairPrice, SleepArrays
from scheduler.solver.instance import UNLIMITED, Instance, make_instance
from scheduler.solver.terms import (
    PPM,
    Curve,
    EvenUse,
    Flat,
    FreeSlots,
    HostTerm,
    SoftLimit,
    SpareRatio,
    Watts,
    total_at,
)

FORMS: tuple[type[ArrayForm], ...] = (Masked, Apart, Together, AtLeast, Within)


@st.composite
def instances(draw: st.DrawFn, most_hosts: int = 4, most_guests: int = 5) -> Instance:
    """A random instance."""
    seed = draw(st.integers(0, 2**32 - 1))
    note(f"seed {seed}")
    return random_instance(seed, most_hosts, most_guests)


def random_instance(seed: int, most_hosts: int = 4, most_guests: int = 5) -> Instance:
    """The instance of a seed."""
    return _Drawn(Random(seed), most_hosts, most_guests).instance()


def random_place(instance: Instance, dice: Random) -> Index:
    """A placement that sends some of the movable guests to seats of hosts they may use, valid or not."""
    place = instance.home.copy()
    for position, guest in enumerate(instance.movable.tolist()):
        if dice.random() < 0.6:
            host = dice.choice(np.flatnonzero(instance.may_use(position)).tolist())
            place[guest] = host * instance.modes + dice.randrange(instance.modes)
    return place


class _Drawn:
    """The parts of one random instance, drawn one after the other."""

    def __init__(self, dice: Random, most_hosts: int, most_guests: int) -> None:
        self.dice = dice
        self.hosts = dice.randint(1, most_hosts) + 1
        self.outside = self.hosts - 1 if dice.random() < 0.3 else -1
        if self.outside < 0:
            self.hosts = max(2, self.hosts - 1)
        self.guests = dice.randint(0, most_guests)
        self.modes = dice.choice((1, 1, 1, 2, 3))
        self.resources = dice.randint(1, 3)
        # Guests of one shape have all figures in common; often each is a shape of its own.
        shapes = dice.choice((1, 2, 100))
        self.shape = np.array([min(i, dice.randrange(shapes)) if shapes < 100 else i for i in range(self.guests)], int)
        self.demand = self._demand()
        self.capacity = self._ints((self.hosts, self.resources), 4, 40)
        if dice.random() < 0.2:
            self.capacity[dice.randrange(self.hosts), dice.randrange(self.resources)] = 0
        if self.outside >= 0:
            self.capacity[self.outside] = UNLIMITED
        self.usable = np.array([[self._maybe(0.7) for _ in range(self.modes)] for _ in range(max(1, self.guests))])
        self.usable[:, dice.randrange(self.modes)] = True
        self.usable = self.usable[self.shape]
        self.home = self._home()
        self.use = np.zeros_like(self.capacity)
        np.add.at(self.use, self.home // self.modes, self.demand[np.arange(self.guests), self.home % self.modes])

    def instance(self) -> Instance:
        dice, hosts = self.dice, self.hosts
        some = [guest for guest in range(self.guests) if dice.random() < 0.85]
        target = np.array([dice.random() < 0.9 for _ in range(hosts)])
        if self.outside >= 0:
            target[self.outside] = False
        kinds = dice.randint(1, 3)
        masks = np.array([[dice.random() < 0.8 for _ in range(hosts)] for _ in range(kinds)]) & target
        ratio = dice.choice((1.0, 1.0, 0.8, 0.5))
        limit = np.where(self.capacity < UNLIMITED, np.floor(self.capacity * ratio), UNLIMITED).astype(np.int64)
        headroom = limit - self._ints(limit.shape, 0, 6) if self._maybe(0.3) else None
        forms = self._forms()
        return make_instance(
            demand=self.demand,
            usable=self.usable,
            capacity=self.capacity,
            home=self.home,
            goal=self._goal(forms),
            limit=limit,
            headroom=headroom,
            transient=np.array([self._maybe(0.3) for _ in range(self.resources)]),
            overload_scale=np.array([dice.choice((PPM, 7, 1)) for _ in range(self.resources)], dtype=np.int64),
            overload_room=self._ints((hosts, self.resources), 0, 30),
            plannable=np.array([dice.random() < 0.9 for _ in range(hosts)]),
            target=target,
            movable=np.array(some, dtype=np.intp),
            mask_of=self._per_guest(0, kinds - 1)[some].astype(np.intp),
            masks=masks,
            mib=self._per_guest(0, 8),
            forms=forms,
            move_caps=self._move_caps(),
            max_moves=dice.randint(0, 4) if self._maybe(0.4) else None,
            max_mib=dice.randint(0, 20) if self._maybe(0.3) else None,
            outside=self.outside,
        )

    def _demand(self) -> Ints:
        """Demands, now and then equal ones."""
        shapes = self._ints((max(1, self.guests), self.modes, self.resources), 0, 15)
        demand: Ints = shapes[self.shape]
        return demand

    def _per_guest(self, least: int, most: int) -> Ints:
        """A figure of each guest; guests of one shape have the same."""
        figures: Ints = self._ints(max(1, self.guests), least, most)[self.shape]
        return figures

    def _home(self) -> Index:
        home = []
        for guest in range(self.guests):
            host = self.dice.choice((self.dice.randrange(self.hosts), 0))
            home.append(host * self.modes + self.dice.choice(np.flatnonzero(self.usable[guest]).tolist()))
        return np.array(home, dtype=np.intp)

    def _forms(self) -> list[ArrayForm]:
        forms: list[ArrayForm] = []
        for number in range(self.dice.choice((0, 0, 1, 2, 3) if self.shape.any() else (0, 0, 0, 1, 2))):
            kind = self.dice.choice(FORMS)
            members = [guest for guest in range(self.guests) if self._maybe(0.6)]
            cells = 2 if kind is Masked else self.dice.randint(1, self.hosts)
            kinds = [self.dice.randrange(3) if kind is Within else 0 for _ in members]
            forms.append(
                kind(
                    rule=f"rule {number}",
                    enforcement=self.dice.choice(list(Enforcement)),
                    weight=1.0,
                    members=np.array(members, dtype=np.intp),
                    selected=len(members),
                    cell=np.array([self.dice.randrange(cells) for _ in range(self.hosts)], dtype=np.intp),
                    cells=cells,
                    kinds=np.array(kinds, dtype=np.intp),
                    at_least=self.dice.randint(1, 3) if kind is AtLeast else 0,
                )
            )
        return forms

    def _move_caps(self) -> list[MoveCap]:
        caps = []
        for number in range(self.dice.choice((0, 0, 1, 2))):
            members = np.array([guest for guest in range(self.guests) if self._maybe(0.6)], dtype=np.intp)
            caps.append(MoveCap(f"cap {number}", members, self.dice.randint(0, 2)))
        return caps

    def _goal(self, forms: list[ArrayForm]) -> GoalArrays:
        dice, hosts = self.dice, self.hosts
        terms = tuple(dice.choice(_TERMS)(self) for _ in range(dice.choice((0, 1, 1, 2, 3))))
        zones = dice.randint(1, 3)
        return GoalArrays(
            terms=terms,
            price=self._per_guest(0, dice.choice((0, 5, 10**4))),
            left=np.array([self._maybe(0.2) for _ in range(hosts)]),
            left_weight=self._per_guest(1, 5),
            soft_weights=tuple(dice.randint(0, 50) for form in forms if not form.binding),
            pair_price=PairPrice(self._ints(hosts, 0, zones - 1), self._ints((zones, zones), 0, 9))
            if self._maybe(0.3)
            else None,
            crowd=Crowd(self._per_guest(-1, 2), dice.randint(0, 20)) if self._maybe(0.3) else None,
            sleep=self._sleep(terms) if self._maybe(0.3) else None,
            hosts=np.arange(hosts, dtype=np.intp),
        )

    def _sleep(self, terms: tuple[HostTerm, ...]) -> SleepArrays:
        every = np.arange(self.hosts)
        idle = total_at(terms, every, np.zeros_like(self.capacity))
        may = np.array([self._maybe(0.8) for _ in range(self.hosts)])
        if self.outside >= 0:
            may[self.outside] = False
        offer = self._ints((self.hosts, self.dice.randint(1, 2)), 0, self.dice.choice((0, 9)))
        return SleepArrays(
            may=may,
            asleep_cost=idle - self._ints(self.hosts, -3, 200),
            idle_cost=idle,
            offer=offer,
            need=self._ints(offer.shape[1], 0, max(1, int(offer.sum()) // 2)),
            constant=self.dice.choice((0, 17)),
        )

    def even_use(self) -> HostTerm:
        columns = (self._column(), self._column())
        room = np.maximum(1, self.capacity[:, columns])
        counted = np.array([[self._maybe(0.9) for _ in columns] for _ in range(self.hosts)]) & (room > 1)
        mean = [
            PPM * int(self.use[counted[:, i], column].sum()) // max(1, int(room[counted[:, i], i].sum()))
            for i, column in enumerate(columns)
        ]
        return EvenUse(columns, room, counted, np.array(mean, dtype=np.int64))

    def watts(self) -> HostTerm:
        return Watts(self._column(), tuple(self._curve() if self._maybe(0.8) else None for _ in range(self.hosts)))

    def _curve(self) -> Curve:
        corners = sorted({self.dice.randint(1, 40) for _ in range(self.dice.randint(0, 3))})
        draws = sorted(self.dice.randint(50, 400) for _ in range(len(corners) + 1))
        return Curve((0, *corners), tuple(draws))

    def flat(self) -> HostTerm:
        return Flat(self._ints(self.hosts, 0, 100))

    def soft_limit(self) -> HostTerm:
        limit = np.where(self.capacity < UNLIMITED, self.capacity // self.dice.randint(1, 3), UNLIMITED)
        return SoftLimit(limit, self._ints(self.resources, 0, 9))

    def spare_ratio(self) -> HostTerm:
        columns = (self._column(), self._column())
        capacity = np.where(self.capacity < UNLIMITED, self.capacity, 0)[:, columns]
        return SpareRatio(columns, capacity, self.dice.randint(1, 4), self.dice.randint(0, 9))

    def free_slots(self) -> HostTerm:
        column = self._column()
        capacity = np.where(self.capacity < UNLIMITED, self.capacity, 0)[:, column]
        return FreeSlots(column, capacity, self.dice.randint(1, 9), self.dice.randint(1, 5))

    def _column(self) -> int:
        return self.dice.randrange(self.resources)

    def _maybe(self, chance: float) -> bool:
        return self.dice.random() < chance

    def _ints(self, shape: int | tuple[int, ...], least: int, most: int) -> Ints:
        count = int(np.prod(shape))
        drawn: Any = [self.dice.randint(least, most) for _ in range(count)]
        return np.array(drawn, dtype=np.int64).reshape(shape)


_TERMS = (_Drawn.even_use, _Drawn.watts, _Drawn.flat, _Drawn.soft_limit, _Drawn.spare_ratio, _Drawn.free_slots)
