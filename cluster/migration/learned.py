"""What past migrations teach about coming ones: corrections per guest and per pair of hosts, from their figures. Pure.

A correction is the median of the last `LATEST` ratios of measured to predicted, drawn towards 1 while they are few (as
if `PRIOR` more migrations had gone exactly as predicted), and never beyond `MOST` times either way: one odd migration
changes little, and no history makes a plan absurd. A prediction that was corrected already counts with its factor, so
corrections settle instead of piling up.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

LATEST = 9
PRIOR = 2
MOST = 3.0

LEAST_BANDWIDTH_S = 5.0
"""Shorter migrations are mostly set-up: their time says little of bandwidth."""


@dataclass(frozen=True, slots=True)
class MoveFact:
    """One migration that went well: as its plan predicted it, and as measured. Written when its step ends `done`.

    `mib_ratio` and `bandwidth_ratio` are the factors that were in the prediction. `alone`: no other migration shared
    its source or target at any time, so that its rate is what the pair of hosts can do.
    """

    plan: str
    step: str
    guest: str
    source: str
    target: str
    at: datetime
    predicted_mib: int
    predicted_s: float
    mib: int
    seconds: float
    alone: bool
    mib_ratio: float = 1.0
    bandwidth_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Correction:
    """Factors on one migration's prediction, 1 where it has been right: MiB sent, and bandwidth reached."""

    mib_ratio: float = 1.0
    bandwidth_ratio: float = 1.0


NOTHING_LEARNED = Correction()


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known so far: MiB by guest, bandwidth by (source, target)."""

    mib_ratio: Mapping[str, float] = field(default_factory=dict)
    bandwidth_ratio: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def correction(self, guest: str, source: str, target: str) -> Correction:
        """Return the factors for one migration; 1 each where nothing was learned."""
        return Correction(self.mib_ratio.get(guest, 1.0), self.bandwidth_ratio.get((source, target), 1.0))


def learn(facts: Iterable[MoveFact]) -> Learned:
    """Return what migrations teach, given oldest first; a step that is there twice counts once."""
    once = {(fact.plan, fact.step): fact for fact in facts}.values()
    by_guest: dict[str, list[float]] = {}
    by_pair: dict[tuple[str, str], list[float]] = {}
    for fact in once:
        if fact.mib <= 0 or fact.predicted_mib <= 0:
            continue  # this libvirt kept no figures
        mib = fact.mib / fact.predicted_mib
        by_guest.setdefault(fact.guest, []).append(fact.mib_ratio * mib)
        if fact.alone and min(fact.seconds, fact.predicted_s) >= LEAST_BANDWIDTH_S:
            rate = mib * fact.predicted_s / fact.seconds
            by_pair.setdefault((fact.source, fact.target), []).append(fact.bandwidth_ratio * rate)
    return Learned(_corrections(by_guest), _corrections(by_pair))


def _corrections(ratios: Mapping[K, Sequence[float]]) -> dict[K, float]:
    return {key: correction_of(latest) for key, latest in ratios.items()}


def correction_of(ratios: Sequence[float]) -> float:
    """Return the factor that some ratios of measured to predicted, oldest first, speak for."""
    latest = ratios[-LATEST:]
    if not latest:
        return 1.0
    # Half as much and twice as much are equally wrong: the mean with the prior is one of logarithms.
    drawn = math.log(statistics.median(latest)) * len(latest) / (len(latest) + PRIOR)
    return min(MOST, max(1 / MOST, math.exp(drawn)))
