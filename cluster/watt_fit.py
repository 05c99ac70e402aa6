"""A host's own power curve, fitted to what its meter showed at its loads. Pure.

Method: (load, watts) pairs are put into bins of load; each bin is told by its medians, so that a few wild readings
count for nothing; pooling adjacent violators (Ayer et al. 1955, weighted least squares under "never falls") makes the
bins rise. Beyond the loads seen, the curve known before gives the shape, scaled to meet the fitted ends; without one
the curve runs straight on. Too little to go by, or a draw that load does not
explain, is refused with the reason.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cluster.history import SLOT_S, UsageRing
from cluster.power_curves import Curve, watts_at

LEAST_PAIRS = 288
"""A day of 5-minute slots."""
BIN_RATIO = 0.025
LEAST_IN_BIN = 6
LEAST_BINS = 4
LEAST_SPAN_RATIO = 0.2
MOST_LOWEST_RATIO = 0.1
"""Idle draw is the most of what sleeping saves: without a curve known before it must have been seen, or nearly so."""
MOST_ERROR_RATIO = 0.1
PREFIX = "watt_fit:"
"""Flags of the store that keep a host's fit, each with its id."""


@dataclass(frozen=True, slots=True)
class WattFit:
    """A fitted curve, how many pairs and which loads it rests on, and how far off four in five readings at most are."""

    curve: Curve
    pairs: int
    lowest_ratio: float
    highest_ratio: float
    error_ratio: float


@dataclass(frozen=True, slots=True)
class NoFit:
    """Why no curve was fitted, as the end of a sentence."""

    why: str


def pairs_of(cpu: UsageRing, draw: UsageRing, cpu_millicores: int, now: datetime) -> list[tuple[float, float]]:
    """Return (load ratio, watts) of the last four weeks' slots that have both figures."""
    slots = 28 * 24 * 3600 // SLOT_S
    first = int(now.timestamp()) // SLOT_S - slots + 1
    both = zip(cpu.values(first, slots), draw.values(first, slots), strict=True)
    return [
        (min(1.0, used / cpu_millicores), milliwatts / 1000)
        for used, milliwatts in both
        if used is not None and milliwatts and cpu_millicores > 0
    ]


def fit(pairs: Iterable[tuple[float, float]], known: Curve = ()) -> WattFit | NoFit:
    """Fit a curve to (load ratio, watts) pairs in any order; `known` is the curve that was gone by before, if any."""
    seen = sorted((load, watts) for load, watts in pairs if 0 <= load <= 1 and watts > 0)
    if len(seen) < LEAST_PAIRS:
        return NoFit(f"{len(seen)} readings of 5 minutes with a load, {LEAST_PAIRS} are needed")
    bins = _bins(seen)
    if len(bins) < LEAST_BINS or bins[-1][0] - bins[0][0] < LEAST_SPAN_RATIO:
        return NoFit(f"its loads were too much alike, nearly all from {_percent(bins[:1])} to {_percent(bins[-1:])}")
    if not known and bins[0][0] > MOST_LOWEST_RATIO:
        return NoFit(f"it was never seen under {_percent(bins[:1])} load, and no curve is configured to go by there")
    points = _ends(_rising(bins), known)
    error_ratio = _error(seen, points)
    if error_ratio > MOST_ERROR_RATIO:
        return NoFit(f"its draw does not follow its CPU load: one reading in five is off by over {error_ratio:.0%}")
    # Loads that are one when rounded make one point, the lower.
    rounded: dict[float, float] = {}
    for load, watts in points:
        rounded.setdefault(round(load, 4), round(watts, 2))
    curve = tuple(rounded.items())
    return WattFit(curve, len(seen), round(bins[0][0], 4), round(bins[-1][0], 4), round(error_ratio, 4))


def _bins(seen: Sequence[tuple[float, float]]) -> list[tuple[float, float, int]]:
    """Return (median load, median watts, pairs) of each bin of load with enough of them, rising in load."""
    by_bin: dict[int, list[tuple[float, float]]] = {}
    for load, watts in seen:
        by_bin.setdefault(int(load / BIN_RATIO), []).append((load, watts))
    return [
        (statistics.median(load for load, _ in ones), statistics.median(watts for _, watts in ones), len(ones))
        for _, ones in sorted(by_bin.items())
        if len(ones) >= LEAST_IN_BIN
    ]


def _rising(bins: Sequence[tuple[float, float, int]]) -> list[tuple[float, float]]:
    """Return (load, watts) with the watts never falling: each run of bins that fall drawn together into its mean."""
    pools: list[tuple[float, int, list[float]]] = []
    for load, watts, weight in bins:
        loads = [load]
        while pools and pools[-1][0] > watts:
            before, its_weight, its_loads = pools.pop()
            watts = (before * its_weight + watts * weight) / (its_weight + weight)
            weight, loads = weight + its_weight, its_loads + loads
        pools.append((watts, weight, loads))
    return [(load, watts) for watts, _, loads in pools for load in loads]


def _ends(points: list[tuple[float, float]], known: Curve) -> list[tuple[float, float]]:
    """Return the points with the curve's ends at loads 0 and 1 where they were not seen."""
    (low, low_watts), (high, high_watts) = points[0], points[-1]
    idle, full = low_watts, high_watts
    if known:
        idle = low_watts * _share(watts_at(known, 0.0), watts_at(known, low))
        full = high_watts * _share(watts_at(known, 1.0), watts_at(known, high))
    else:
        (second, second_watts), slope = points[1], (high_watts - low_watts) / (high - low)
        # Servers leave their idle states at the first work: the curve is steepest there. No more than half is guessed.
        idle = max(low_watts / 2, low_watts - (second_watts - low_watts) / (second - low) * low)
        full = high_watts + slope * (1 - high)
    first = [(0.0, idle)] if low > 0 else []
    last = [(1.0, full)] if high < 1 else []
    return [*first, *points, *last]


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 1.0


def _error(seen: Sequence[tuple[float, float]], points: Sequence[tuple[float, float]]) -> float:
    """Return what four in five readings are off by at most, as shares of themselves."""
    curve = tuple(points)
    off = sorted(abs(watts_at(curve, load) - watts) / watts for load, watts in seen)
    return off[int(0.8 * (len(off) - 1))]


def _percent(bins: Sequence[tuple[float, float, int]]) -> str:
    return f"{bins[0][0]:.0%}" if bins else "nothing"


def write(found: WattFit | NoFit, at: datetime) -> str:
    """Return a fit, or why there is none, as a flag of the store keeps it."""
    if isinstance(found, NoFit):
        return json.dumps({"at": at.isoformat(), "why": found.why})
    return json.dumps(
        {
            "at": at.isoformat(),
            "curve": found.curve,
            "pairs": found.pairs,
            "loads": [found.lowest_ratio, found.highest_ratio],
            "error_ratio": found.error_ratio,
        }
    )


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[WattFit | NoFit, datetime] | None:
    """Read what `write` wrote, with its time; `None` for anything else, which is then fitted anew."""
    try:
        kept = json.loads(text)
        at = datetime.fromisoformat(kept["at"])
        if "why" in kept:
            return NoFit(str(kept["why"])), at
        curve = tuple((float(load), float(watts)) for load, watts in kept["curve"])
        low, high = kept["loads"]
        return WattFit(curve, int(kept["pairs"]), float(low), float(high), float(kept["error_ratio"])), at
    except (ValueError, TypeError, KeyError):
        return None
