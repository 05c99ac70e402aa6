"""What followed the moments most like now: weighted samples of a guest's use some slots ahead, from its own past. Pure.

Nearest neighbours: past moments are compared with now by their features (`features`), each weighed by the coefficient
that a ridge regression of the use `ahead` slots later on all of them gives it: a guest without a daily shape is not
asked for the time of day. Older moments count as less alike, and so do those at other times of day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.forecast.features import DAY, HALF, WEEK, kinds_of, local, seasonal, seasons_known, smoothed
from scheduler.forecast.series import Floats, Ints

RIDGE = 0.02
AGE_COST, CLOCK_COST = 0.02, 0.03
"""Distance of a moment a week ago, and of one at the other end of the day, in standard deviations."""
SPARSE = 5
"""Every so manieth moment goes into the regression: a step that shares no factor with hours and days but 1."""
SPARSE_AHEAD, SPARSE_SLOTS = 24, 10 * DAY
"""From so far ahead, and of histories so long, no other moments are compared either."""
LEAST_SEEN = 3
"""A history shorter than so many times a horizon says nothing of it."""
LEAST_SCALE = 0.3
WEIGHED_AGAIN = 3.5
"""What counts is weighed again when the horizon is so many times longer."""
NEIGHBOURS = ((2, 60), (6, 120), (12, 300))
MOST_NEIGHBOURS = 1000
"""How many moments are taken up to how many slots ahead: the farther, the less the present tells, and the more."""


@dataclass(frozen=True)
class Samples:
    """What followed [guest, n], by how much more it was than at the moment itself, and weights, 0 for not counting."""

    use: Floats
    growth: Floats
    weights: Floats


@dataclass(frozen=True)
class _Moments:
    """Past moments `first`, `first` + `step`, ...: their local features, and how far these are from now's."""

    first: int
    step: int
    near: Floats
    apart: Floats
    aside: Floats

    def count(self, slots: int, ahead: int) -> int:
        """How many of them have the slot `ahead` of them in the past."""
        return max(0, -(-(slots - ahead - self.first) // self.step))


def followed(history: Floats, known: Floats, born: Ints, knots: Sequence[int]) -> Iterator[Samples]:
    """Yield, for each of `knots` slots ahead, what followed moments like the last slot of `history` [guest, slot].

    `history` has no gaps from slot `born` [guest] on and is zero before it; `known` is 0 where a figure was recorded
    and infinite where not. What is looked at goes by the guest known for the shortest time: take those `alike`.
    """
    guests, slots = history.shape
    roots = np.sqrt(history)
    youngest = slots - int(born.max(initial=0))
    scale = np.maximum(_deviation(roots, born), LEAST_SCALE)[:, None]
    seasons = seasons_known(youngest)
    smooth = smoothed(roots, born)
    every = _every_moment(roots, born, bool(seasons))
    sparse = _thinned(every, slots)
    far: Floats = np.zeros((guests, 0, slots + max(knots)), np.float32)
    far_penalty: Floats = known
    skipped = -1
    weighed_until = 0.0
    coefficients: Floats = np.zeros((guests, 0), np.float32)
    row = np.arange(guests)[:, None]
    if youngest <= SPARSE:
        for _ in knots:
            one = history[:, -1:]
            yield Samples(one, np.zeros_like(one), np.ones_like(one))
        return
    # Of a horizon not seen often enough, the longest one that was must tell.
    for ahead in (min(knot, youngest // LEAST_SEEN) for knot in knots):
        # What a season says of a slot must have been known `ahead` slots before it.
        if seasons and (ahead + HALF - 1) // DAY != skipped:
            skipped = (ahead + HALF - 1) // DAY
            made = [seasonal(smooth, born, max(knots), one, skipped if one[0] == DAY else 0) for one in seasons]
            far = np.stack([part for part, _ in made], axis=1)
            far_penalty = known + sum(part[:, :slots] for _, part in made)
        if ahead >= weighed_until:
            coefficients = _coefficients(sparse, far, roots, far_penalty, ahead, scale)
            weighed_until = ahead * WEIGHED_AGAIN
        moments = sparse if ahead >= SPARSE_AHEAD and youngest >= SPARSE_SLOTS else every
        count = moments.count(slots, ahead)
        ends = slice(moments.first + ahead, slots, moments.step)
        split = moments.near.shape[1]
        distance = np.matmul(coefficients[:, None, :split], moments.apart[:, :, :count])[:, 0]
        if seasons:
            far_apart = far[:, :, ends] - far[:, :, slots - 1 + ahead, None]
            np.abs(far_apart, out=far_apart)
            distance += np.matmul(coefficients[:, None, split:], far_apart)[:, 0]
        distance += moments.aside[:, :count]
        distance += far_penalty[:, ends]
        wanted = next((most for until, most in NEIGHBOURS if ahead <= until), MOST_NEIGHBOURS)
        wanted = min(-(-wanted // moments.step), count)
        chosen = np.argpartition(distance, wanted - 1, axis=1)[:, :wanted]
        apart = np.take_along_axis(distance, chosen, axis=1)
        missing = np.isinf(apart)
        apart[missing] = 0
        weights = 1.02 - apart / np.maximum(apart.max(axis=1, keepdims=True), 1e-6)
        weights[missing] = 0
        then = moments.first + moments.step * chosen
        use = history[row, then + ahead]
        yield Samples(use, use - history[row, then], weights)


def alike(age: Ints, steps: int) -> Ints:
    """Return numbers [guest] that are the same for guests so long known that `followed` treats them alike.

    Together with others of their number, guests get what they would get alone.
    """
    enough = LEAST_SEEN * steps
    return np.asarray((kinds_of(age) * 2 + (age >= SPARSE_SLOTS)) * (enough + 1) + np.minimum(age, enough))


def _deviation(roots: Floats, born: Ints) -> Floats:
    """Return the standard deviation of each guest's roots [guest] from its birth on; before it they are zero."""
    known = np.maximum(roots.shape[1] - born, 1)
    mean = roots.sum(axis=1, dtype=np.float64) / known
    square = np.einsum("gs,gs->g", roots, roots, dtype=np.float64) / known
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)), np.float32)


def _every_moment(roots: Floats, born: Ints, by_clock: bool) -> _Moments:
    slots = roots.shape[1]
    near = local(roots, born)
    apart = near - near[:, :, -1:]
    np.abs(apart, out=apart)
    back = np.arange(slots - 1, -1, -1)
    aside = AGE_COST * back / WEEK
    if by_clock:
        aside += CLOCK_COST * np.abs((back + DAY // 2) % DAY - DAY // 2) / (DAY // 2)
    alive = np.where(np.arange(slots)[None, :] < born[:, None], np.float32(np.inf), aside.astype(np.float32))
    return _Moments(0, 1, near, apart, alive)


def _thinned(every: _Moments, slots: int) -> _Moments:
    first = (slots - 1) % SPARSE
    near, apart, aside = (
        np.ascontiguousarray(part[..., first::SPARSE]) for part in (every.near, every.apart, every.aside)
    )
    return _Moments(first, SPARSE, near, apart, aside)


def _coefficients(moments: _Moments, far: Floats, truth: Floats, penalty: Floats, ahead: int, scale: Floats) -> Floats:
    """Return the size of the ridge coefficients [guest, feature] of the truth on all features, per `scale` of it."""
    guests, slots = truth.shape
    count = moments.count(slots, ahead)
    ends = slice(moments.first + ahead, slots, moments.step)
    split, features = moments.near.shape[1], moments.near.shape[1] + far.shape[1]
    # One row for the mean, then the features, then the truth: one product gives all that the regression needs.
    table = np.empty((guests, features + 2, count), np.float32)
    table[:, 0] = 1
    table[:, 1 : split + 1] = moments.near[:, :, :count]
    table[:, split + 1 : -1] = far[:, :, ends]
    table[:, -1] = truth[:, ends]
    table *= np.isfinite(penalty[:, ends] + moments.aside[:, :count])[:, None, :]
    product = np.matmul(table, table.transpose(0, 2, 1)).astype(np.float64)
    number = np.maximum(product[:, :1, :1], 1)
    centred = (product[:, 1:, 1:] - product[:, 1:, :1] * product[:, :1, 1:] / number) / number
    square = centred[:, :-1, :-1] + np.eye(features) * (RIDGE * scale**2)[:, :, None]
    return np.asarray(np.abs(np.linalg.solve(square, centred[:, :-1, -1:])[..., 0]) / scale, np.float32)
