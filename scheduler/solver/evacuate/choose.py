"""Which hosts to close: those that save most less what moving their guests costs, while the reserve holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.bounds.asleep import AsleepBound
from scheduler.solver.forms import Bools, Ints

Floats = NDArray[np.float64]
MOST_SWAPPED = 2000
"""Hosts up to this are also exchanged for each other."""


def net_savings(bound: AsleepBound) -> Floats:
    """Return what closing each host saves, less the price of moving who started there; -inf where it cannot sleep."""
    if bound.applies:
        return bound.best.saving
    sleep = bound.sleep
    saving = (sleep.idle_cost - sleep.asleep_cost - bound.per_host(bound.price)).astype(np.float64)
    return np.where(bound.able & (sleep.idle_cost > sleep.asleep_cost), saving, -np.inf)


def in_order(taken: Ints, spare: Ints, net: Floats) -> Ints:
    """Return the hosts worth closing, the greatest net saving for what they take of what is spare first."""
    size = (taken / np.maximum(1, spare)).max(axis=1, initial=0.0)
    hosts = np.flatnonzero(net > 0)
    return hosts[np.lexsort((hosts, -net[hosts] / np.maximum(1e-12, size[hosts])))].astype(np.int64)


def choose(taken: Ints, spare: Ints, net: Floats, order: Ints, most: int) -> Bools:
    """Return hosts to close, bool[hosts], at most `most`: greedily by `order`, then one exchanged for another."""
    closed = np.zeros(len(net), dtype=np.bool_)
    for h in order.tolist():
        if closed.sum() >= most:
            break
        if (spare >= taken[h]).all():
            closed[h] = True
            spare = spare - taken[h]
    if len(order) > MOST_SWAPPED:
        return closed
    while True:
        shut, left = order[closed[order]], order[~closed[order]]
        gain = net[left][:, None] - net[shut][None, :]
        for k in range(taken.shape[1]):
            gain[spare[k] + taken[shut, k][None, :] < taken[left, k][:, None]] = 0.0
        if gain.size == 0 or gain.max() <= 0:
            return closed
        into, out = np.unravel_index(int(gain.argmax()), gain.shape)
        closed[left[into]], closed[shut[out]] = True, False
        spare = spare + taken[shut[out]] - taken[left[into]]
