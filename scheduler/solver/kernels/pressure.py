"""What the elastic search adds to a state: room that may go below zero, and what a unit of that costs for now.

Tables of one mode, laid out host by host, so that a host's price at another use is one pass over a few rows. Resources
held at both ends of a move count the guests that left home as well, so each resource has one figure of room.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.solver.forms import Bools, Ints
from scheduler.solver.instance import UNLIMITED
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.state import GOAL, State, make_state
from scheduler.solver.kernels.tables import APART, SOFT, Tables, Terms

SIZED = 8.0
"""Times that a guest of average size stands among those to draw by size."""


class Elastic(NamedTuple):
    """Constants for prices at a use.

    `demand` int64[guests, resources], `home` int64[guests] the host; `keep` int64[2, resources]: 0 in row 1 for held
    resources, which a guest takes of its home host anyway. At most one soft limit a resource: `soft_limit`
    int64[hosts, resources], `soft_weight` int64[resources]; `ratio` int64[hosts, ratios, 2] and `ratios`
    int64[ratios, 4] (columns, target, weight); all other terms in `rest`, if `has_rest`[0]. `apart` int64[guests] is
    where the counts of the guest's first form that keeps it apart by host begin, or -1. `targets` are the hosts
    that some guest may use; `free`[0]: every guest may use all hosts; `free`[1]: the goal has soft forms. `sized`
    holds each guest that may move as often as it is large: to draw from.
    """

    demand: Ints
    home: Ints
    keep: Ints
    cap: Ints
    soft_limit: Ints
    soft_weight: Ints
    ratio: Ints
    ratios: Ints
    rest: Terms
    has_rest: Bools
    apart: Ints
    targets: Ints
    free: Bools
    sized: Ints


class Pressure(NamedTuple):
    """Mutable arrays beside a `State`.

    `room` int64[hosts, resources] is below zero where a host is over capacity, `spare` likewise what it is under its
    soft limit; `lacking` int64[hosts] counts the resources over capacity, `penalty` int64[hosts] is their price:
    `unit_price` int64[resources] times the amount, and `each` int64[resources] whatever it is. `short`
    int64[resources] counts hosts. `best` int64[guests] is the cheapest placement met with none short; `since` are the
    guests moved after it. `figures` as named below; `row` is scratch.
    """

    room: Ints
    spare: Ints
    lacking: Ints
    penalty: Ints
    unit_price: Ints
    each: Ints
    short: Ints
    best: Ints
    since: Ints
    figures: Ints
    row: Ints


LACKING, BEST_GOAL, SINCE, TAKEN, FOUND, FEASIBLE = range(6)
"""Figures: resources lacking on all hosts; goal of the best; moves since it (-1: too many to tell); proposals taken;
times a better one was found; proposals taken after which nothing was lacking."""


def make_elastic(tables: Tables) -> Elastic:
    """Return the constants of an instance with one mode."""
    hosts, resources = tables.cap.shape
    groups, terms = tables.groups, tables.terms
    limit = tables.cap.copy()
    weight = np.zeros(resources, dtype=np.int64)
    rest: list[int] = []
    for i, column in enumerate(terms.soft_column.tolist()):
        if weight[column]:
            rest.append(i)
        else:
            limit[:, column], weight[column] = terms.soft_limit[i], terms.soft_weight[i]
    ratios = np.column_stack([terms.ratio_columns, terms.ratio_target, terms.ratio_weight]).astype(np.int64)
    none = np.zeros(0, dtype=np.int64)
    others = terms._replace(
        soft_column=terms.soft_column[rest],
        soft_limit=np.ascontiguousarray(terms.soft_limit[rest]),
        soft_weight=terms.soft_weight[rest],
        ratio_columns=np.zeros((0, 2), dtype=np.int64),
        ratio_capacity=np.zeros((0, hosts, 2), dtype=np.int64),
        ratio_target=none,
        ratio_weight=none,
    )
    kept = len(rest) + len(terms.even_columns) + len(terms.slot_column) + len(terms.watt_column)
    keep = np.ones((2, resources), dtype=np.int64)
    keep[1, tables.held] = 0
    return Elastic(
        demand=np.ascontiguousarray(tables.demand[:, 0, :]),
        home=tables.home,
        keep=keep,
        cap=np.minimum(tables.cap, UNLIMITED),
        soft_limit=limit,
        soft_weight=weight,
        ratio=np.ascontiguousarray(terms.ratio_capacity.transpose(1, 0, 2)).reshape(hosts, len(ratios), 2),
        ratios=ratios,
        rest=others,
        has_rest=np.array([bool(kept) or bool(terms.flat.any())]),
        apart=_apart(tables),
        targets=np.flatnonzero(tables.masks.any(axis=0)).astype(np.int64),
        free=np.array([bool(tables.masks.all()), bool((groups.rank == SOFT).any())]),
        sized=_sized(tables),
    )


def _sized(tables: Tables) -> Ints:
    """Each movable guest as often as the largest part it takes of an average host tells, at least once."""
    demand = tables.demand[tables.movable, 0, :]
    room = np.maximum(1.0, np.minimum(tables.cap, demand.sum(axis=0)).mean(axis=0))
    size = (demand / room).max(axis=1, initial=0.0)
    times = np.rint(SIZED * size / max(1e-12, float(size.mean()) if len(size) else 1.0)).astype(np.int64)
    sized: Ints = np.repeat(tables.movable, np.maximum(1, times))
    return sized


def _apart(tables: Tables) -> Ints:
    """Where the counts of each guest's first form that keeps its members on different hosts begin, or -1."""
    groups = tables.groups
    hosts = len(tables.cap)
    by_host = np.array([np.array_equal(cell, np.arange(hosts)) for cell in groups.cell], dtype=np.bool_)
    fits = (groups.type == APART) & (groups.rank != SOFT) & (groups.most == 0)
    if len(by_host):
        fits &= by_host[groups.partition]
    apart = np.full(len(tables.home), -1, dtype=np.int64)
    guest = np.repeat(np.arange(len(tables.home)), np.diff(groups.first))
    entries = np.flatnonzero(fits[groups.form])[::-1]
    apart[guest[entries]] = groups.offset[groups.form[entries]]
    return apart


def make_pressure(elastic: Elastic, state: State, journal: int = 1 << 16) -> Pressure:
    """Return the pressure of a state that lacks nothing, which becomes the best."""
    hosts, resources = elastic.cap.shape
    pressure = Pressure(
        room=np.zeros((hosts, resources), dtype=np.int64),
        spare=np.zeros((hosts, resources), dtype=np.int64),
        lacking=np.zeros(hosts, dtype=np.int64),
        penalty=np.zeros(hosts, dtype=np.int64),
        unit_price=np.ones(resources, dtype=np.int64),
        each=np.zeros(resources, dtype=np.int64),
        short=np.zeros(resources, dtype=np.int64),
        best=state.place.copy(),
        since=np.zeros(journal, dtype=np.int64),
        figures=np.zeros(6, dtype=np.int64),
        row=np.zeros(resources, dtype=np.int64),
    )
    pressure.figures[BEST_GOAL] = state.totals[GOAL]
    find_room(elastic, state, pressure)
    return pressure


@entry
def find_room(elastic: Elastic, state: State, pressure: Pressure) -> None:
    """Work out room and penalties again, after guests or prices have changed elsewhere."""
    cap, room = elastic.cap, pressure.room
    for h in range(cap.shape[0]):
        for r in range(cap.shape[1]):
            room[h, r] = cap[h, r] - state.use[h, r]
            pressure.spare[h, r] = elastic.soft_limit[h, r] - state.use[h, r]
    for g in range(state.host.shape[0]):
        home = elastic.home[g]
        if state.host[g] != home:
            for r in range(cap.shape[1]):
                room[home, r] -= elastic.demand[g, r] * (1 - elastic.keep[1, r])
    for r in range(cap.shape[1]):
        pressure.short[r] = 0
    pressure.figures[LACKING] = 0
    for h in range(cap.shape[0]):
        weigh_lack(pressure, h, 1)


@compiled
def weigh_lack(pressure: Pressure, h: int, sign: int) -> None:
    """Count what a host lacks in (sign 1) or out (-1)."""
    lacking, penalty = 0, 0
    for r in range(pressure.room.shape[1]):
        room = pressure.room[h, r]
        if room < 0:
            lacking += 1
            penalty += pressure.each[r] - pressure.unit_price[r] * room
            pressure.short[r] += sign
    pressure.figures[LACKING] += sign * lacking
    pressure.lacking[h], pressure.penalty[h] = lacking, penalty


example(Elastic, make_elastic)
example(Pressure, lambda tables: make_pressure(make_elastic(tables), make_state(tables, tables.home)))
