"""Guests that leave a host together, because a rule that holds keeps them on one."""

from __future__ import annotations

import numpy as np

from scheduler.solver.forms import Index, Together
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.reseat import Bundles


def make_bundles(instance: Instance, place: Index) -> Bundles:
    """Return bundles: members on one host of each binding `Together` whose cells are single hosts; others alone."""
    guests, hosts = instance.guests, instance.host_of(place)
    root = np.arange(guests, dtype=np.int64)
    for form in instance.binding:
        if not isinstance(form, Together) or form.cells < instance.hosts:
            continue
        order = form.members[np.argsort(hosts[form.members], kind="stable")]
        for one, other in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
            if hosts[one] == hosts[other]:
                first, second = sorted((_root(root, one), _root(root, other)))
                root[second] = first
    roots = np.array([_root(root, g) for g in np.flatnonzero(root != np.arange(guests)).tolist()], dtype=np.int64)
    root[root != np.arange(guests)] = roots
    _, of = np.unique(root, return_inverse=True)
    of = of.astype(np.int64)
    first_of = np.zeros(int(of.max(initial=-1)) + 2, dtype=np.int64)
    np.cumsum(np.bincount(of), out=first_of[1:])
    return Bundles(of, first_of, np.argsort(of, kind="stable").astype(np.int64))


def _root(root: Index, guest: int) -> int:
    while root[guest] != guest:
        guest = int(root[guest])
    return guest
