"""The migration predictor against public runs of QEMU: time and MiB of each, predicted before and measured.

    python -m benchmarks.live_migration --data DIR

DIR holds (or is) the folder of `qemu_precopy.tar.gz`: per scenario ten runs, each a list of `query-migrate` answers
every 0.2 s, of one 8 GiB guest under 128 MiB/s with 300 ms of allowed downtime. What can be known before a run is
taken from other runs of the same guest: its memory in use and its dirtying. The runs are split in halves by number,
and each half is predicted from the other, so no run says anything of itself. Ends with 1 when a mean time is off by
more than 3 % or mean MiB by more than 5 %.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data_folder import add_data_option, family_folder, run_command
from cluster.errors import InputError
from cluster.migration.dirtying import Dirtying, from_sample, hot_mib_from
from cluster.migration.predict import Memory, Prediction, Way, predict

ARCHIVE = "qemu_precopy.tar.gz"
MIB = 1 << 20
PAGE_BYTES = 4096
LIMIT_MIB_S = 128.0
MAX_DOWNTIME_S = 0.3
MOST_TIME_ERROR, MOST_MIB_ERROR = 0.03, 0.05

_RUN = re.compile(r"(?P<scenario>[^/]+)/mig-stats-run-(?P<number>\d+)\.json$")


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of the dirty bitmap: the time it covers, and how much was dirtied in it."""

    seconds: float
    dirtied_mib: float


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: what it took, and what it shows of its guest. `memory_mib` are pages sent in the first pass."""

    scenario: str
    number: int
    seconds: float
    downtime_s: float
    mib: float
    memory_mib: float
    total_mib: float
    switch_mib_s: float
    passes: tuple[Pass, ...]


def read_runs(data: Path) -> list[Run]:
    """Read every run of the archive, by scenario and number. `InputError` names what is missing."""
    path = family_folder(data, "live_migration") / ARCHIVE
    if not path.is_file():
        raise InputError(f"{path}: no such file; it holds the public migration runs")
    runs = []
    with tarfile.open(path) as archive:
        for member in archive:
            name = _RUN.search(member.name)
            file = archive.extractfile(member) if name else None
            if name and file is not None:
                runs.append(read_run(name["scenario"], int(name["number"]), json.load(file)))
    return sorted(runs, key=lambda run: (run.scenario, run.number))


def read_run(scenario: str, number: int, samples: Sequence[dict[str, Any]]) -> Run:
    """Read one run from its answers."""
    looks = [sample["query_migrate"] for sample in samples if "ram" in sample["query_migrate"]]
    if not looks or looks[-1]["status"] != "completed":
        raise InputError(f"{scenario} run {number}: it did not complete")
    first = [look for look in looks if look["ram"]["dirty-sync-count"] == 1]
    last = looks[-1]
    # What was left when the first pass ended was still to be sent, as far as it was not dirtied again.
    after = first[-1]["ram"]
    return Run(
        scenario,
        number,
        seconds=last["total-time"] / 1000,
        downtime_s=last["downtime"] / 1000,
        mib=last["ram"]["transferred"] / MIB,
        memory_mib=after["normal-bytes"] / MIB + after["remaining"] / MIB,
        total_mib=last["ram"]["total"] / MIB,
        switch_mib_s=_switch_mib_s(looks),
        passes=tuple(_passes(looks)),
    )


def _switch_mib_s(looks: Sequence[dict[str, Any]]) -> float:
    """Return what the link carried while the guest was stopped, without the limit of the run."""
    last, before = looks[-1], looks[-2]
    left_mib: float = (last["ram"]["transferred"] - before["ram"]["transferred"]) / MIB
    limited_mib: float = LIMIT_MIB_S * max(0, last["total-time"] - last["downtime"] - before["total-time"]) / 1000
    downtime_s: float = last["downtime"] / 1000
    return max(LIMIT_MIB_S, (left_mib - limited_mib) / downtime_s)


def _passes(looks: Sequence[dict[str, Any]]) -> list[Pass]:
    """Return the passes that the looks saw one by one: their length, and QEMU's rate of newly dirtied pages over it."""
    passes = []
    start_s, known = 0.0, 1
    for before, look in itertools.pairwise(looks):
        count = look["ram"]["dirty-sync-count"]
        if count == known:
            continue
        # It happened between two looks.
        at_s = (before["total-time"] + look["total-time"]) / 2000
        rate = look["ram"]["dirty-pages-rate"]
        if count == known + 1 and rate and at_s - start_s >= 1:
            passes.append(Pass(at_s - start_s, rate * PAGE_BYTES / MIB * (at_s - start_s)))
        start_s, known = at_s, count
    return passes


def dirtying_of(runs: Sequence[Run], memory_mib: float) -> Dirtying:
    """Return the dirtying curve through the mean first and second pass; idle when the runs show no second one."""
    firsts = [run.passes[0] for run in runs if len(run.passes) > 1]
    seconds = [run.passes[1] for run in runs if len(run.passes) > 1]
    if not firsts:
        return Dirtying(0.0, 0.0, memory_mib)
    (long_rate, long_s), (rate, over_s) = _mean(firsts), _mean(seconds)
    return from_sample(rate, over_s, hot_mib_from((rate, over_s), (long_rate, long_s)), memory_mib)


def _mean(passes: Sequence[Pass]) -> tuple[float, float]:
    """Return the mean rate in MiB/s and the mean period of some passes."""
    seconds = statistics.fmean(one.seconds for one in passes)
    return statistics.fmean(one.dirtied_mib for one in passes) / seconds, seconds


def predict_from(runs: Sequence[Run]) -> Prediction:
    """Predict a run of the guest from other runs of it."""
    memory_mib = statistics.fmean(run.memory_mib for run in runs)
    memory = Memory(memory_mib, runs[0].total_mib - memory_mib, dirtying_of(runs, memory_mib))
    line_mib_s = statistics.median(run.switch_mib_s for run in runs)
    return predict(memory, Way(LIMIT_MIB_S, MAX_DOWNTIME_S, line_mib_s))


def main() -> int:
    """Print predicted against measured per scenario and half of its runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    runs = read_runs(parser.parse_args().data)
    within = True
    for scenario in sorted({run.scenario for run in runs}):
        of_it = [run for run in runs if run.scenario == scenario]
        half = len(of_it) // 2
        print(f"{scenario}, {len(of_it)} runs")
        for known, tested in ((of_it[:half], of_it[half:]), (of_it[half:], of_it[:half])):
            within = _compare(known, tested) and within
    print("within 3 % of time and 5 % of MiB" if within else "NOT within 3 % of time and 5 % of MiB")
    return 0 if within else 1


def _compare(known: Sequence[Run], tested: Sequence[Run]) -> bool:
    prediction = predict_from(known)
    seconds = statistics.fmean(run.seconds for run in tested)
    mib = statistics.fmean(run.mib for run in tested)
    time_error, mib_error = prediction.seconds / seconds - 1, prediction.mib / mib - 1
    worst_time = max(abs(prediction.seconds / run.seconds - 1) for run in tested)
    worst_mib = max(abs(prediction.mib / run.mib - 1) for run in tested)
    numbers = [",".join(str(run.number) for run in half) for half in (known, tested)]
    verdict = f"converges (margin {prediction.margin:.1f})" if prediction.converges else "does not converge"
    print(f"  calibrated on runs {numbers[0]}, tested on {numbers[1]}: {verdict}, {prediction.passes} passes")
    print(f"    seconds  predicted {prediction.seconds:8.2f}  measured {seconds:8.2f}  {time_error:+.1%}"
          f"  worst run {worst_time:.1%}")  # fmt: skip
    print(f"    MiB      predicted {prediction.mib:8.0f}  measured {mib:8.0f}  {mib_error:+.1%}"
          f"  worst run {worst_mib:.1%}")  # fmt: skip
    downtime_s = statistics.fmean(run.downtime_s for run in tested)
    print(f"    downtime predicted {1000 * prediction.downtime_s:8.0f}  measured {1000 * downtime_s:8.0f}  ms")
    return abs(time_error) <= MOST_TIME_ERROR and abs(mib_error) <= MOST_MIB_ERROR


if __name__ == "__main__":
    run_command(main)
