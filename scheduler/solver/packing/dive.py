"""Whole patterns out of the linear program: those it uses most are fixed, a few at a time, and it is solved again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from scheduler.solver.forms import Index

if TYPE_CHECKING:
    from scheduler.solver.packing.generate import Generation

SURE = 0.8
"""A pattern used this much is fixed at once."""
NONE = 1e-6


def dive(
    generation: Generation,
    part: float,
    rounds: int,
    until: float,
    over: Callable[[], bool],
    stop: Callable[[], bool],
    noise: float,
    random: np.random.Generator,
) -> list[tuple[int, Index]]:
    """Return patterns (class and guests), a guest in the first it is in; all guests are covered unless stopped.

    At each step `part` of the hosts still to fill are, and patterns for the guests left are generated for so many
    `rounds` less one; none once it is `over`. `noise` is what uses are multiplied with at most, less 1.
    """
    relaxation, patterns = generation.relaxation, generation.relaxation.patterns
    covered = np.zeros(generation.classes.guests, dtype=np.bool_)
    fixed: list[int] = []
    while not covered.all() and not stop():
        for turn in range(rounds if not over() else 1):
            if not relaxation.solve():
                return _of(generation, fixed)
            if turn == rounds - 1 or over() or not generation.search(until, ~covered):
                break
        use = relaxation.use
        new = patterns.holds & ~covered
        many = new.sum(axis=1)
        use[many == 0] = 0.0
        if noise:
            use = np.where(use < 1 - NONE, use * (1 + noise * random.random(len(use))), use)
        most = max(1, int(np.ceil(part * float(use.sum()))))
        taken = 0
        for one in np.lexsort((-many, -np.round(use, 6))).tolist():
            if use[one] < NONE or (use[one] < SURE and taken >= most):
                break
            guests = patterns.guests[one]
            fresh = guests[~covered[guests]]
            # Next to one fixed in this step that shares a guest, its use means little.
            if not len(fresh) or (use[one] < SURE and taken and len(fresh) < many[one]):
                continue
            covered[fresh] = True
            relaxation.fix(one, fresh)
            fixed.append(one)
            taken += 1
        if not taken:
            break
    return _of(generation, fixed)


def _of(generation: Generation, fixed: list[int]) -> list[tuple[int, Index]]:
    patterns = generation.relaxation.patterns
    return [(patterns.of[one], patterns.guests[one]) for one in fixed]
