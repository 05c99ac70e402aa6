"""The forecast against plain guesses on recorded traces: `python -m benchmarks.forecast --data DIR`.

Pinball loss at the 95th percentile, rolling origin: each forecast is made from the slots before it and judged by one
after it. The two guesses named in the target stand as they are, the last value and the value of the same time
yesterday; beside them the same two with the 95th percentile of their own past errors (at that horizon, so far) added.
Exit status 1
when ours has not 10 % less loss than both plain ones, on each trace and at each horizon.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.data_folder import add_data_option, run_command
from benchmarks.forecast_traces import Trace, bitbrains, google
from cluster.history import SLOTS
from scheduler.forecast.features import DAY
from scheduler.forecast.marginal import Marginals, marginals
from scheduler.forecast.quantiles import between
from scheduler.forecast.series import Floats, carried_forward
from scheduler.forecast.sums import summed

QUANTILE = 0.95
HORIZONS = {1: "5 min", 6: "30 min", 12: "1 h", 48: "4 h", 96: "8 h"}
TARGET = 0.9
"""Of each of the two plain guesses' loss, over all horizons and at each of them."""
PLAIN = ("last value", "yesterday")
WITH_ERRORS = ("last value + errors", "yesterday + errors")
OURS = "forecast"
SUMS = ("sum of quantiles", "forecast of the sum")
GROUP = 10
"""Guests in a sum: about a host's."""
FRESH_SLOTS = 6
"""A guest silent for so long is not judged: nobody would plan with it."""

Array = npt.NDArray[np.float64]
Forecasts = Mapping[str, Array]


@dataclass(frozen=True)
class Judged:
    """Loss and whether use stayed under the forecast, [origin, guest, horizon], by forecast; NaN: not judged.

    `cpu_s` is the processor time that ours took for all of it.
    """

    loss: Mapping[str, Array]
    under: Mapping[str, Array]
    use: Array
    cpu_s: float = 0.0


def pinball(truth: Array, forecast: Array) -> Array:
    """Return the pinball (quantile) loss at `QUANTILE` (Koenker and Bassett 1978)."""
    above = truth - forecast
    return np.maximum(QUANTILE * above, (QUANTILE - 1) * above)


def guesses(past: Floats, limits: Floats) -> dict[str, Array]:
    """Return what the plain guesses say after `past` [guest, slot], each [guest, horizon]."""
    history = np.nan_to_num(carried_forward(past))
    slots = past.shape[1]
    said: dict[str, list[Array]] = {name: [] for name in (*PLAIN, *WITH_ERRORS)}
    limits = np.maximum(limits, history.max(axis=1))
    for ahead in HORIZONS:
        # Where there is no yesterday yet, the earliest figure stands for it.
        same_time = history[:, max(0, slots - 1 + ahead - DAY)]
        for plain, corrected, guess, lag in (
            (PLAIN[0], WITH_ERRORS[0], history[:, -1], ahead),
            (PLAIN[1], WITH_ERRORS[1], same_time, DAY),
        ):
            errors = past[:, lag:] - history[:, :-lag] if slots > lag else np.zeros((len(past), 1))
            known = ~np.isnan(errors).all(axis=1)
            added = np.zeros(len(past))
            added[known] = np.nanquantile(errors[known], QUANTILE, axis=1)
            said[plain].append(guess.astype(float))
            said[corrected].append(np.clip(guess + added, 0, limits))
    return {name: np.stack(columns, axis=1) for name, columns in said.items()}


def ours(past: Floats, limits: Floats) -> tuple[Array, Marginals]:
    """Return our forecast [guest, horizon], and all of it."""
    made = marginals(past[:, -SLOTS:], max(HORIZONS), limits)
    return _at_horizons(np.ceil(between(made.grid, QUANTILE) - 1e-3)), made


def judge(trace: Trace, origins: Sequence[int]) -> tuple[Judged, Judged]:
    """Return the verdicts on each guest, and on sums of `GROUP` guests."""
    size = len(trace.use) // GROUP
    groups = [np.arange(first, len(trace.use), size)[:GROUP] for first in range(size)]
    each: list[tuple[Forecasts, Array]] = []
    sums: list[tuple[Forecasts, Array]] = []
    took_s = 0.0
    for origin in origins:
        past = trace.use[:, :origin]
        truth = np.stack([trace.use[:, origin - 1 + ahead] for ahead in HORIZONS], axis=1).astype(float)
        truth[np.isnan(past[:, -FRESH_SLOTS:]).all(axis=1)] = np.nan
        said = guesses(past, trace.limits)
        before_s = time.process_time()
        said[OURS], made = ours(past, trace.limits)
        took_s += time.process_time() - before_s
        each.append((said, truth))
        total = np.stack([past[rows].sum(axis=0) for rows in groups])
        of_total = guesses(total, np.stack([trace.limits[rows].sum() for rows in groups]))
        of_total.update(_of_groups(groups, past, trace.limits, made))
        sums.append((of_total, np.stack([truth[rows].sum(axis=0) for rows in groups])))
    return replace(_judged(each), cpu_s=took_s), _judged(sums)


def _of_groups(
    groups: Sequence[npt.NDArray[np.int64]], past: Floats, limits: Floats, made: Marginals
) -> dict[str, Array]:
    values = past[:, -SLOTS:]
    history = carried_forward(values)
    said = {
        SUMS[0]: [between(made.grid[:, rows], QUANTILE).sum(axis=0) for rows in groups],
        SUMS[1]: [summed(values, history, made, limits, rows, QUANTILE) for rows in groups],
    }
    return {name: _at_horizons(np.ceil(np.stack(rows) - 1e-3)) for name, rows in said.items()}


def _at_horizons(figures: npt.NDArray[np.floating]) -> Array:
    return np.asarray(figures[:, [ahead - 1 for ahead in HORIZONS]], np.float64)


def _judged(said: Sequence[tuple[Forecasts, Array]]) -> Judged:
    truth = np.stack([one for _, one in said])
    unknown = np.isnan(truth)
    loss, under = {}, {}
    for name in said[0][0]:
        forecast = np.stack([one[name] for one, _ in said])
        loss[name] = pinball(truth, forecast)
        under[name] = np.where(unknown, np.nan, truth <= forecast)
    return Judged(loss, under, truth)


def table(trace: Trace, judged: Judged, names: Sequence[str], own: str) -> list[str]:
    """Return the table, in Markdown: mean loss per horizon and forecast, and ours against each of the others."""
    lines = [
        "| ahead | " + " | ".join(names) + f" | **{own}** | less than each of these | use stayed under |",
        "| --- |" + " ---: |" * (len(names) + 1) + " --- | ---: |",
    ]
    for column, label in enumerate(HORIZONS.values()):
        losses = {name: _mean(judged.loss[name][:, :, column]) for name in (*names, own)}
        less = ", ".join(f"{1 - losses[own] / losses[name]:.0%}" for name in names)
        figures = " | ".join(f"{losses[name]:.2f}" for name in names)
        under = np.nanmean(judged.under[own][:, :, column])
        lines.append(f"| {label} | {figures} | **{losses[own]:.2f}** | {less} | {under:.1%} |")
    return lines


def per_guest(judged: Judged) -> list[str]:
    """Return the losses again with each guest's loss measured by its own mean use, so that all guests count alike."""
    names = (*PLAIN, *WITH_ERRORS)
    use = np.maximum(np.nanmean(judged.use, axis=(0, 2)), 1.0)
    lines = [
        "| ahead | " + " | ".join(names) + f" | **{OURS}** | guests better off than with each |",
        "| --- |" + " ---: |" * (len(names) + 1) + " --- |",
    ]
    for column, label in enumerate(HORIZONS.values()):
        scaled = {name: np.nanmean(judged.loss[name][:, :, column], axis=0) / use for name in (*names, OURS)}
        better = ", ".join(f"{np.mean(scaled[OURS] <= scaled[name]):.0%}" for name in names)
        figures = " | ".join(f"{np.nanmean(scaled[name]):.3f}" for name in names)
        lines.append(f"| {label} | {figures} | **{np.nanmean(scaled[OURS]):.3f}** | {better} |")
    return lines


def misses(trace: Trace, judged: Judged) -> list[str]:
    """Return where the target is missed: at which horizon and against which plain guess."""
    found = []
    for column, label in enumerate(HORIZONS.values()):
        own = _mean(judged.loss[OURS][:, :, column])
        for name in PLAIN:
            other = _mean(judged.loss[name][:, :, column])
            if own > TARGET * other:
                found.append(f"{trace.name}, {label} ahead: {own:.2f} against {other:.2f} of {name!r}")
    return found


def _mean(loss: Array) -> float:
    """Return the mean over guests of each guest's mean."""
    return float(np.nanmean(np.nanmean(loss, axis=0)))


def main() -> int:
    """Print the tables; 1 when the target is missed anywhere."""
    parser = argparse.ArgumentParser(description="the forecast against plain guesses on recorded traces")
    add_data_option(parser)
    parser.add_argument("--every", type=int, default=37, metavar="SLOTS", help="slots between forecasts (default 37)")
    options = parser.parse_args()
    data: Path = options.data
    every = int(options.every)
    longest = max(HORIZONS)
    found: list[str] = []
    of_google = google(data)
    plans: list[tuple[Trace, Callable[[int], range]]] = [
        (bitbrains(data), lambda slots: range(2 * DAY, slots - longest, every)),
        *((trace, lambda slots: range(slots // 2, slots - longest, 4)) for trace in of_google),
    ]
    for trace, origins_of in plans:
        origins = origins_of(trace.use.shape[1])
        each, sums = judge(trace, origins)
        print(f"\n## {trace.name}: {len(trace.use)} guests, {len(origins)} forecasts each, {trace.unit}\n")
        print("\n".join(table(trace, each, (*PLAIN, *WITH_ERRORS), OURS)))
        print("\nEach guest's loss as a share of its own mean use:\n")
        print("\n".join(per_guest(each)))
        print(f"\nA forecast of 1000 guests takes {1000 * each.cpu_s / each.use[:, :, 0].size:.2f} s of one core.")
        print(f"\nSums of {GROUP} guests:\n")
        print("\n".join(table(trace, sums, (*PLAIN, *WITH_ERRORS, SUMS[0]), SUMS[1])))
        found += misses(trace, each)
        sys.stdout.flush()
    for line in found:
        print(f"missed: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    run_command(main)
