"""First packings: guests that are outside go in by several plain rules, and the one that needs least is kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.fill import fill_each, first_fit
from scheduler.solver.kernels.repack import Floats
from scheduler.solver.meter import Meter
from scheduler.solver.packing.bins import Bins
from scheduler.solver.search import Search

GUESTS_AT_ONCE = 64
MOST_FILLED = 2000
"""Host by host takes the square of the number of guests: with more, first fit is all."""
STEEP = 3.0
"""Exponent by which one large resource makes a guest large."""


def construct(search: Search, bins: Bins, meter: Meter) -> None:
    """Place the guests that are outside, in every way tried; the incumbent is offered each."""
    instance, start = bins.instance, search.place
    outside = np.flatnonzero((instance.host_of(start) == instance.outside) & (bins.tables.mask_of >= 0))
    if instance.outside < 0 or not len(outside):
        return
    hosts = bins.hosts_in_order
    for key in _keys(bins.sizes):
        bins.go_to(start)
        order = _largest_first(outside, key)
        for first in range(0, len(order), GUESTS_AT_ONCE):
            if meter.over():
                break
            first_fit(bins.tables, bins.state, order[first : first + GUESTS_AT_ONCE], hosts)
            bins.count_work(meter, GUESTS_AT_ONCE * len(hosts))
        search.offer(bins.state.place)
        if meter.over():
            return
    if len(outside) > MOST_FILLED:
        return
    mean = np.zeros(bins.weight.shape[1])
    for square in (False, True):
        bins.go_to(start)
        fill_each(bins.tables, bins.state, outside.astype(np.int64), hosts, bins.repack, mean, square)
        bins.count_work(meter, len(outside) * len(outside))
        search.offer(bins.state.place)
        if meter.over():
            return


def _keys(sizes: Floats) -> Iterator[Floats]:
    """Measures of a guest's size, float[guests]."""
    mean = sizes.mean(axis=0)
    yield sizes @ mean
    yield sizes.max(axis=1)
    yield (sizes * sizes) @ mean
    yield np.exp(STEEP * np.minimum(1.0, sizes)).sum(axis=1)
    yield sizes.sum(axis=1)


def _largest_first(guests: Ints, key: Floats) -> Ints:
    return guests[np.argsort(-key[guests], kind="stable")].astype(np.int64)
