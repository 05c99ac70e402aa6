"""An instance as flat tables that compiled code reads: constants, nothing but arrays of integers and flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cluster.rules import Enforcement
from scheduler.solver.forms import Apart, ArrayForm, AtLeast, Bools, Ints, Masked, Together, Within
from scheduler.solver.instance import UNLIMITED, Instance
from scheduler.solver.terms import Curve, EvenUse, Flat, FreeSlots, HostTerm, SoftLimit, SpareRatio, Watts

APART, TOGETHER, AT_LEAST, WITHIN, MASKED = range(5)
SOFT, REPAIR, HARD_RANK = range(3)
_TYPES: dict[type[ArrayForm], int] = {
    Apart: APART,
    Together: TOGETHER,
    AtLeast: AT_LEAST,
    Within: WITHIN,
    Masked: MASKED,
}


class Terms(NamedTuple):
    """Host terms: a row for each term of a kind, then hosts.

    even: sums of squares; soft: weight x excess over a soft limit; ratio: spare amounts out of proportion; slot: free
    slots; watt: curves, `watt_of` the curve of each host or -1; flat: a constant per host.
    """

    even_columns: Ints
    even_room: Ints
    even_counted: Bools
    even_mean: Ints
    soft_column: Ints
    soft_limit: Ints
    soft_weight: Ints
    ratio_columns: Ints
    ratio_capacity: Ints
    ratio_target: Ints
    ratio_weight: Ints
    slot_column: Ints
    slot_capacity: Ints
    slot_size: Ints
    slot_worth: Ints
    watt_column: Ints
    watt_of: Ints
    watt_points: Ints
    watt_at: Ints
    watt_milliwatts: Ints
    flat: Ints


class Groups(NamedTuple):
    """Forms, caps and crowds: what guests have to do with each other.

    `first`[g] .. `first`[g + 1] are the entries of guest g in `form` and `kind`. Form f counts its members in each of
    its `cells` from `offset`[f] on (three kinds a cell); host h is in cell `cell`[partition[f], h]. `most`[f] is what a
    binding form may have broken. Likewise `cap_first`, `cap_of` and `cap_most` for caps on moves of a group.
    """

    first: Ints
    form: Ints
    kind: Ints
    type: Ints
    rank: Ints
    weight: Ints
    at_least: Ints
    most: Ints
    offset: Ints
    cells: Ints
    partition: Ints
    cell: Ints
    counts: Ints
    cap_first: Ints
    cap_of: Ints
    cap_most: Ints
    crowd: Ints
    crowd_sizes: Ints


class Tables(NamedTuple):
    """Constants of an instance. Shapes as in `Instance`; `mask_of` goes by guest, -1 where it may not move.

    `columns` are the resources that can bind or cost anything; `held` the transient ones; `over` those in which a host
    can be over its limit. `figures` holds max_moves, max_mib, crowd weight, outside, and
    whether soft forms or crowds can make a move cheaper than its hosts and prices tell; the cost of
    hosts asleep already.
    """

    demand: Ints
    usable: Bools
    limit: Ints
    cap: Ints
    headroom: Ints
    columns: Ints
    held: Ints
    over: Ints
    overload_scale: Ints
    overload_room: Ints
    plannable: Bools
    home: Ints
    movable: Ints
    mask_of: Ints
    masks: Bools
    mib: Ints
    price: Ints
    zone: Ints
    pair_price: Ints
    left: Bools
    left_weight: Ints
    may_sleep: Bools
    idle_cost: Ints
    asleep_cost: Ints
    offer: Ints
    need: Ints
    figures: Ints
    terms: Terms
    groups: Groups


MAX_MOVES, MAX_MIB, CROWD_WEIGHT, OUTSIDE, EXTRAS, CONSTANT = range(6)


def make_tables(instance: Instance) -> Tables:
    """Return the tables of an instance."""
    goal, sleep = instance.goal, instance.goal.sleep
    hosts = instance.hosts
    mask_of = np.full(instance.guests, -1, dtype=np.int64)
    mask_of[instance.movable] = instance.mask_of
    zone = np.zeros(hosts, dtype=np.int64)
    pair = np.zeros((1, 1), dtype=np.int64)
    if goal.pair_price is not None:
        zone, pair = _ints(goal.pair_price.zone), _ints(goal.pair_price.price)
    over = (instance.cap > instance.limit).any(axis=0)
    figures = [
        instance.max_moves,
        instance.max_mib,
        goal.crowd.weight if goal.crowd is not None else 0,
        instance.outside,
        int(bool(instance.soft) or goal.crowd is not None),
        0 if sleep is None else sleep.constant,
    ]
    return Tables(
        demand=_ints(instance.demand),
        usable=np.ascontiguousarray(instance.usable),
        limit=_ints(instance.limit),
        cap=_ints(instance.cap),
        headroom=_ints(instance.headroom),
        columns=_columns_that_bind(instance),
        held=np.flatnonzero(instance.transient).astype(np.int64),
        over=np.flatnonzero(over).astype(np.int64),
        overload_scale=_ints(instance.overload_scale),
        overload_room=np.maximum(1, _ints(instance.overload_room)),
        plannable=np.ascontiguousarray(instance.plannable),
        home=_ints(instance.home),
        movable=_ints(instance.movable),
        mask_of=mask_of,
        masks=np.ascontiguousarray(instance.masks & instance.target[None, :]).reshape(-1, hosts),
        mib=_ints(instance.mib),
        price=_ints(goal.price),
        zone=zone,
        pair_price=pair,
        left=np.ascontiguousarray(goal.left),
        left_weight=_ints(goal.left_weight),
        may_sleep=np.zeros(hosts, dtype=np.bool_) if sleep is None else np.ascontiguousarray(sleep.may),
        idle_cost=np.zeros(hosts, dtype=np.int64) if sleep is None else _ints(sleep.idle_cost),
        asleep_cost=np.zeros(hosts, dtype=np.int64) if sleep is None else _ints(sleep.asleep_cost),
        offer=np.zeros((hosts, 0), dtype=np.int64) if sleep is None else _ints(sleep.offer),
        need=np.zeros(0, dtype=np.int64) if sleep is None else _ints(sleep.need),
        figures=np.array(figures, dtype=np.int64),
        terms=_terms(goal.terms, hosts),
        groups=_groups(instance),
    )


def _ints(array: Ints) -> Ints:
    return np.ascontiguousarray(array, dtype=np.int64)


def _columns_that_bind(instance: Instance) -> Ints:
    """Resources that some host could have too much of if every guest came to it."""
    total = instance.demand.max(axis=1, initial=0).sum(axis=0)
    least = np.minimum(instance.cap, instance.headroom).min(axis=0, initial=UNLIMITED)
    return np.flatnonzero(total > least).astype(np.int64)


def _stack(rows: Sequence[Any], *shape: int) -> Ints:
    """Rows as one array, int64[rows, *shape], also when there are none."""
    return np.array(rows, dtype=np.int64).reshape(len(rows), *shape)


def _terms(terms: tuple[HostTerm, ...], hosts: int) -> Terms:
    even = [term for term in terms if isinstance(term, EvenUse)]
    ratio = [term for term in terms if isinstance(term, SpareRatio)]
    slot = [term for term in terms if isinstance(term, FreeSlots)]
    watt = [term for term in terms if isinstance(term, Watts)]
    soft = [
        (column, term.limit[:, column], int(term.weight[column]))
        for term in terms
        if isinstance(term, SoftLimit)
        for column in np.flatnonzero(term.weight).tolist()
        if (term.limit[:, column] < UNLIMITED).any()
    ]
    flat = np.zeros(hosts, dtype=np.int64)
    for term in terms:
        if isinstance(term, Flat):
            flat = flat + term.cost
    curves: dict[Curve, int] = {}
    watt_of = np.full((len(watt), hosts), -1, dtype=np.int64)
    for i, term in enumerate(watt):
        for host, power in enumerate(term.curves):
            if power is not None:
                watt_of[i, host] = curves.setdefault(power, len(curves))
    points = max((len(power.at) for power in curves), default=1)
    known = (EvenUse, SpareRatio, FreeSlots, Watts, SoftLimit, Flat)
    if not all(isinstance(term, known) for term in terms):
        raise TypeError("a host term that has no table")
    return Terms(
        even_columns=_stack([np.array(term.columns) for term in even], 2),
        even_room=_stack([term.room for term in even], hosts, 2),
        even_counted=np.array([term.counted for term in even], dtype=np.bool_).reshape(len(even), hosts, 2),
        even_mean=_stack([term.mean for term in even], 2),
        soft_column=_stack([np.int64(column) for column, _, _ in soft]),
        soft_limit=_stack([limit for _, limit, _ in soft], hosts),
        soft_weight=_stack([np.int64(weight) for _, _, weight in soft]),
        ratio_columns=_stack([np.array(term.columns) for term in ratio], 2),
        ratio_capacity=_stack([term.capacity for term in ratio], hosts, 2),
        ratio_target=_stack([np.int64(term.target) for term in ratio]),
        ratio_weight=_stack([np.int64(term.weight) for term in ratio]),
        slot_column=_stack([np.int64(term.column) for term in slot]),
        slot_capacity=_stack([term.capacity for term in slot], hosts),
        slot_size=_stack([np.int64(term.size) for term in slot]),
        slot_worth=_stack([np.int64(term.worth) for term in slot]),
        watt_column=_stack([np.int64(term.column) for term in watt]),
        watt_of=watt_of,
        watt_points=_stack([np.int64(len(power.at)) for power in curves]),
        watt_at=_stack([_padded(power.at, points) for power in curves], points),
        watt_milliwatts=_stack([_padded(power.milliwatts, points) for power in curves], points),
        flat=flat,
    )


def _padded(figures: tuple[int, ...], length: int) -> Ints:
    return np.array(figures + figures[-1:] * (length - len(figures)), dtype=np.int64)


def _groups(instance: Instance) -> Groups:
    homes = instance.host_of(instance.home)
    weights = iter(instance.goal.soft_weights)
    forms: list[tuple[ArrayForm, int, int]] = []
    for form in instance.forms:
        weight = 0 if form.binding else next(weights, 0)
        most = form.broken(homes) if form.binding else 0
        idle = form.binding and _cannot_break(instance, form, most)
        if not idle and (form.binding or weight):
            forms.append((form, weight, most))
    partitions: dict[bytes, int] = {}
    seen: dict[int, bytes] = {}
    cells: list[Ints] = []
    partition, offset, at = [], [], 0
    for form, _, _ in forms:
        # Forms often share one array: looked at once.
        key = seen.setdefault(id(form.cell), b"") or form.cell.tobytes()
        seen[id(form.cell)] = key
        if key not in partitions:
            partitions[key] = len(cells)
            cells.append(form.cell)
        partition.append(partitions[key])
        offset.append(at)
        at += 3 * form.cells if isinstance(form, Within) else form.cells
    guests = np.concatenate([form.members for form, _, _ in forms]) if forms else np.zeros(0, dtype=np.intp)
    numbers = np.repeat(np.arange(len(forms)), [len(form.members) for form, _, _ in forms])
    kinds = np.concatenate([form.kinds for form, _, _ in forms]) if forms else np.zeros(0, dtype=np.intp)
    first, order = _by_guest(guests, instance.guests)
    caps = instance.move_caps
    capped = np.concatenate([cap.members for cap in caps]) if caps else np.zeros(0, dtype=np.intp)
    cap_first, cap_order = _by_guest(capped, instance.guests)
    crowd = instance.goal.crowd
    group = np.full(instance.guests, -1, dtype=np.int64) if crowd is None else _ints(crowd.group)
    return Groups(
        first=first,
        form=_ints(numbers[order]),
        kind=_ints(kinds[order]),
        type=_stack([np.int64(_TYPES[type(form)]) for form, _, _ in forms]),
        rank=_stack([np.int64(_rank(form)) for form, _, _ in forms]),
        weight=_stack([np.int64(weight) for _, weight, _ in forms]),
        at_least=_stack([np.int64(form.at_least) for form, _, _ in forms]),
        most=_stack([np.int64(most) for _, _, most in forms]),
        offset=_stack([np.int64(one) for one in offset]),
        cells=_stack([np.int64(form.cells) for form, _, _ in forms]),
        partition=_stack([np.int64(one) for one in partition]),
        cell=_stack(cells, instance.hosts),
        counts=np.array([at], dtype=np.int64),
        cap_first=cap_first,
        cap_of=_ints(np.repeat(np.arange(len(caps)), [len(cap.members) for cap in caps])[cap_order]),
        cap_most=_stack([np.int64(cap.at_most) for cap in caps]),
        crowd=group,
        crowd_sizes=np.bincount(group[group >= 0], minlength=1).astype(np.int64),
    )


def _rank(form: ArrayForm) -> int:
    if form.enforcement is Enforcement.SOFT:
        return SOFT
    return HARD_RANK if form.enforcement is Enforcement.HARD else REPAIR


def _cannot_break(instance: Instance, form: ArrayForm, most: int) -> bool:
    """Whether a binding form holds and no placement breaks it: too few members, or masks that are kept anyway."""
    if most:
        return False
    if isinstance(form, Apart | Together):
        return len(form.members) < 2
    # What is inside a binding mask at the start was given targets inside it only.
    return isinstance(form, Masked) and _masked_by_targets(instance, form)


def _masked_by_targets(instance: Instance, form: Masked) -> bool:
    position = np.full(instance.guests, -1, dtype=np.intp)
    position[instance.movable] = np.arange(len(instance.movable))
    rows = position[form.members]
    outside = form.cell == 0
    return not (instance.masks[instance.mask_of[rows[rows >= 0]]] & outside).any()


def _by_guest(guests: Ints, many: int) -> tuple[Ints, Ints]:
    """Where each guest's entries start when sorted by guest, int64[guests + 1], and that order."""
    first = np.zeros(many + 1, dtype=np.int64)
    np.cumsum(np.bincount(guests, minlength=many), out=first[1:])
    return first, np.argsort(guests, kind="stable")
