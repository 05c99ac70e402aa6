"""A bound from the start: no placement is better than what so few moves can gain at most, each taken by itself."""

from __future__ import annotations

import numpy as np

from scheduler.solver.bounds.reach import Reach, at_most
from scheduler.solver.forms import Ints
from scheduler.solver.terms import HostTerm, SoftLimit, SpareRatio


def can_bound(term: HostTerm) -> bool:
    """Tell whether what one guest can gain by moving is known for a term."""
    return isinstance(term, SoftLimit | SpareRatio)


def few_moves_bound(reach: Reach, terms: list[HostTerm], priced: bool) -> int:
    """Return a bound of some terms together, with `priced` together with what the moves cost."""
    instance = reach.instance
    use = instance.use(instance.home)
    now = sum(int(term.at(np.arange(instance.hosts), use).sum()) for term in terms)
    gain = np.zeros(len(instance.movable), dtype=np.int64)
    for term in terms:
        gain = gain + _gain(reach, term)
    counted = reach.counted
    if priced:
        gain = gain - np.where(counted, np.maximum(0, instance.goal.price[instance.movable]), 0)
    gain = np.maximum(0, gain)
    mib = instance.mib[instance.movable]
    moved = at_most(gain[counted], mib[counted], instance.max_moves, instance.max_mib)
    return now - int(gain[~counted].sum()) - moved


def _gain(reach: Reach, term: HostTerm) -> Ints:
    """Most that each movable guest takes off a term by leaving its seat and taking another, int64[m]."""
    gain: Ints
    if isinstance(term, SoftLimit):
        gain = reach.at_home @ np.maximum(0, term.weight)
    elif isinstance(term, SpareRatio):
        first, second = term.columns
        # Leaving frees the second resource; coming takes the first, of which then less need be matched.
        gain = term.weight * (reach.at_home[:, second] + term.target * reach.most[:, first])
    else:
        gain = np.zeros(len(reach.at_home), dtype=np.int64)
    return gain
