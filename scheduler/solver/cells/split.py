"""An instance split into cells: real, small instances whose answers, put together, are valid for the whole.

Why any answers may be put together, given a valid placement to start from (`place`):

- *Hosts and guests.* Every guest belongs to the cell of the host it is on and stays in it, so what a host holds, and
  whether that is within its cap, is decided in one cell alone. A guest whose home is in another cell (a *stranger*) is
  taken as at home where it is: a second move of it counts as a move more, never as one less, and a host that holds one
  keeps to its head-room. Of what is held at both ends of a move, the part of guests that left for other cells is taken
  off the host's cap.
- *Limits on moves* are shared out so that the shares sum to the whole (`share.py`).
- *Forms* are treated in `restrict.py`: inside a cell as they are, sums over hosts in parts, others by fixing guests.
- *Sleep.* What hosts must offer is split likewise: where no cell falls short, the whole does not.

A cell's goal is its part of the whole's; only a crowd term, the most moved of a group, is not a sum over cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from scheduler.solver.cells.deal import deal, ties
from scheduler.solver.cells.restrict import Parted, part_forms
from scheduler.solver.cells.share import share_caps, where_cost_sits
from scheduler.solver.evaluate import Counts, count
from scheduler.solver.forms import Bools, Index, MoveCap
from scheduler.solver.goal import Crowd, GoalArrays, PairPrice, SleepArrays
from scheduler.solver.instance import Instance
from scheduler.solver.terms import EvenUse, Flat, FreeSlots, HostTerm, SoftLimit, SpareRatio, Watts


@dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """Part of a whole: `hosts` and `guests` are its indices there, `place` the start as seats of `instance`."""

    hosts: Index
    guests: Index
    instance: Instance
    place: Index

    def seats(self, place: Index) -> Index:
        """Return the cell's seats as seats of the whole."""
        modes = self.instance.modes
        seats: Index = self.hosts[place // modes] * modes + place % modes
        return seats


def split(instance: Instance, place: Index, cells: int, dice: Random, counts: Counts | None = None) -> Iterator[Cell]:
    """Yield the cells of an instance around a valid placement, hosts dealt by `dice`, but those that can do nothing.

    `counts` are those of `place`, where the caller has them.
    """
    counts = counts or count(instance, place)
    cell_of = deal(instance, place, cells, dice)
    guest_cell = _cell_of_guests(instance, place, cell_of, cells)
    homes = instance.host_of(instance.home)
    native = (cell_of[homes] == guest_cell) | (homes == instance.outside)
    fixed, parted = part_forms(instance, place, cell_of, guest_cell, native, cells)
    weights = where_cost_sits(instance, place, counts, cell_of, cells)
    moves, mib, caps = share_caps(instance, place, guest_cell, native, weights)
    whole = _Whole(instance, place, cell_of, guest_cell, native, fixed)
    for number in range(cells):
        cell = whole.cell(number, parted[number], moves[number], mib[number], caps[number])
        if len(cell.instance.movable):
            yield cell


def _cell_of_guests(instance: Instance, place: Index, cell_of: Index, cells: int) -> Index:
    """The cell of every guest: its host's; those outside go with the guests that rules tie them to, or in turn."""
    guest_cell: Index = cell_of[instance.host_of(place)].copy()
    outside = guest_cell < 0
    if not outside.any():
        return guest_cell
    for form in sorted(ties(instance), key=lambda one: len(one.members)):
        of_form = guest_cell[form.members]
        waiting = form.members[of_form < 0]
        if len(waiting):
            known = of_form[of_form >= 0]
            guest_cell[waiting] = known[0] if len(known) else int(waiting[0]) % cells
    waiting = np.flatnonzero(guest_cell < 0)
    guest_cell[waiting] = np.arange(len(waiting)) % cells
    return guest_cell


class _Whole:
    """What all cells of one split are cut from."""

    def __init__(
        self, instance: Instance, place: Index, cell_of: Index, guest_cell: Index, native: Bools, fixed: Bools
    ) -> None:
        self.instance, self.place, self.cell_of, self.guest_cell = instance, place, cell_of, guest_cell
        self.native = native
        stranger = ~native
        if instance.goal.pair_price is not None:
            # What a stranger's next move costs goes by the home it has in another cell.
            fixed = fixed | stranger
        self.fixed = fixed
        homes, hosts, modes = instance.host_of(instance.home), instance.host_of(place), instance.modes
        self.home = np.where(stranger, place, instance.home)
        self.cap = instance.cap.copy()
        has_stranger = np.zeros(instance.hosts, dtype=np.bool_)
        has_stranger[hosts[stranger]] = True
        self.cap[has_stranger] = np.minimum(instance.cap, instance.headroom)[has_stranger]
        # Only guests of which both ends count: moved by more than a first placing.
        away = stranger & instance.moved(place)
        taken = np.zeros_like(instance.cap)
        np.add.at(taken, homes[away], instance.demand[away, instance.home[away] % modes])
        self.cap -= np.where(instance.transient[None, :], taken, 0)

    def cell(self, number: int, parted: Parted, moves: int, mib: int, caps: list[int]) -> Cell:
        """Return one cell."""
        instance, modes = self.instance, self.instance.modes
        inside = np.flatnonzero(self.cell_of == number)
        hosts = inside if instance.outside < 0 else np.append(inside, instance.outside)
        guests = np.flatnonzero(self.guest_cell == number)
        local_host = np.full(instance.hosts, -1, dtype=np.intp)
        local_host[hosts] = np.arange(len(hosts))
        local_guest = np.full(instance.guests, -1, dtype=np.intp)
        local_guest[guests] = np.arange(len(guests))

        at = np.flatnonzero((self.guest_cell[instance.movable] == number) & ~self.fixed[instance.movable])
        kinds, mask_of = np.unique(instance.mask_of[at], return_inverse=True)
        masks = instance.masks[np.ix_(kinds, hosts)]
        target = instance.target[hosts]
        outside = -1
        if instance.outside >= 0:
            # Whoever is not from outside stays in.
            outside = len(inside)
            masks[:, outside] = False
            target[outside] = False
        native = self.native[guests]
        movable = local_guest[instance.movable[at]]
        small = replace(
            instance,
            demand=instance.demand[guests],
            usable=instance.usable[guests],
            capacity=instance.capacity[hosts],
            limit=instance.limit[hosts],
            cap=self.cap[hosts],
            headroom=instance.headroom[hosts],
            overload_room=instance.overload_room[hosts],
            plannable=instance.plannable[hosts],
            target=target,
            home=self._local(self.home[guests], local_host, modes),
            movable=movable,
            mask_of=mask_of.astype(np.intp),
            masks=masks,
            mib=np.where(native, instance.mib[guests], 0),
            forms=parted.forms(instance, hosts, local_guest),
            move_caps=tuple(
                MoveCap(cap.rule, local_guest[cap.members[self.guest_cell[cap.members] == number]], most)
                for cap, most in zip(instance.move_caps, caps, strict=True)
            ),
            max_moves=min(moves, len(movable) + self._moved_but_fixed(guests, movable)),
            max_mib=mib,
            goal=self._goal(hosts, guests, native, parted, len(inside)),
            outside=outside,
        )
        return Cell(hosts, guests, small, self._local(self.place[guests], local_host, modes))

    def _moved_but_fixed(self, guests: Index, movable: Index) -> int:
        """Guests of a cell that have been moved and stay there: their moves count beside those of movable ones."""
        moved = self.native[guests] & self.instance.moved(self.place)[guests]
        moved[movable] = False
        return int(moved.sum())

    @staticmethod
    def _local(place: Index, local_host: Index, modes: int) -> Index:
        seats: Index = local_host[place // modes] * modes + place % modes
        return seats

    def _goal(self, hosts: Index, guests: Index, native: Bools, parted: Parted, inside: int) -> GoalArrays:
        goal = self.instance.goal
        counted = np.zeros(self.instance.hosts, dtype=np.bool_)
        counted[goal.hosts] = True
        crowd, pair_price = goal.crowd, goal.pair_price
        if crowd is not None:
            groups, group = np.unique(crowd.group[guests], return_inverse=True)
            group = group - int(len(groups) > 0 and groups[0] < 0)
            crowd = Crowd(np.where(native, group, -1).astype(np.int64), crowd.weight)
        if pair_price is not None:
            pair_price = PairPrice(pair_price.zone[hosts], pair_price.price)
        return replace(
            goal,
            terms=tuple(part_term(term, hosts) for term in goal.terms),
            price=np.where(native, goal.price[guests], 0),
            left=goal.left[hosts],
            left_weight=goal.left_weight[guests],
            soft_weights=parted.soft_weights,
            pair_price=pair_price,
            crowd=crowd,
            sleep=None if goal.sleep is None else self._sleep(goal.sleep, hosts, inside),
            hosts=np.flatnonzero(counted[hosts]),
        )

    def _sleep(self, sleep: SleepArrays, hosts: Index, inside: int) -> SleepArrays:
        offer = sleep.offer[hosts].copy()
        offer[inside:] = 0
        every = sleep.offer[self.cell_of >= 0].sum(axis=0)
        # In unbounded integers, rounded down: the cells' parts of what is to spare never sum to more than there is.
        spare = [
            own * (whole - need) // max(1, whole)
            for own, whole, need in zip(offer.sum(axis=0).tolist(), every.tolist(), sleep.need.tolist(), strict=True)
        ]
        may = sleep.may[hosts].copy()
        may[inside:] = False
        if (every < sleep.need).any():
            may[:] = False
        return SleepArrays(
            may=may,
            asleep_cost=sleep.asleep_cost[hosts],
            idle_cost=sleep.idle_cost[hosts],
            offer=offer,
            need=offer.sum(axis=0) - np.array(spare, dtype=np.int64),
        )


def part_term(term: HostTerm, hosts: Index) -> HostTerm:
    """Return a host term over some of the hosts."""
    match term:
        case EvenUse():
            return replace(term, room=term.room[hosts], counted=term.counted[hosts])
        case Watts():
            return Watts(term.column, tuple(term.curves[host] for host in hosts.tolist()))
        case Flat():
            return Flat(term.cost[hosts])
        case SoftLimit():
            return replace(term, limit=term.limit[hosts])
        case SpareRatio() | FreeSlots():
            return replace(term, capacity=term.capacity[hosts])
        case _:
            raise TypeError("a host term that cannot be split")
