"""Twenty lab guests predicted, then migrated: time against libvirt's completed statistics, and whether each converges.

    python -m benchmarks.lab_prediction [--guests NAME ...]

Needs root and what the lab of `tests/lab` needs; about six minutes. Hot sets are small (they fit into the stop size)
and large, rates below, near and above the bandwidth of the cap. What a prediction knows of a guest is what Trimtab's
collector would: its memory in use by what its QEMU holds, and dirty rates sampled by libvirt over two periods. Two
things are calibrated beforehand on a guest of its own with hardly any memory in use: what QEMU itself holds, and how
long a migration takes beside its memory (under software emulation longer than in production). A migration not over
after four times what its memory alone takes is called off: it does not converge. Ends with 1 when a time is off by more
than 15 % or more than one verdict is wrong.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.data_folder import run_command
from cluster.guest import Dirty
from cluster.migration.dirtying import from_sample
from cluster.migration.predict import Memory, Prediction, Way, predict
from collectors.dirty_rate import LONG_TIMES, dirty_from
from collectors.domain_stats import measured_dirty

if TYPE_CHECKING:
    from tests.lab.guests import LabGuest
    from tests.lab.lab import Lab

CAP_MIB_S = 24
MAX_DOWNTIME_MS = 300
MEMORY_MIB = 256
FIRMWARE_MIB = 10
"""Video memory and firmware that QEMU migrates beside the guest's memory, mostly zero."""
SWITCH_S = 0.02
LINE_MIB_S = 400.0
"""What the lab's virtual links carry between two busy QEMUs without a cap; it only counts in the switch-over."""
SHORT_S = 1
SHORT_ROUNDS, LONG_ROUNDS = 24, 2
MOST_ERROR, MOST_WRONG = 0.15, 1


@dataclass(frozen=True, slots=True)
class Dials:
    """A guest of the comparison: MiB that are not zero, MiB written round and round, MiB/s of writing."""

    name: str
    filled_mib: int
    hot_mib: int
    mib_s: float


GUESTS = (
    Dials("idle-1", 80, 1, 0),
    Dials("idle-2", 200, 1, 0),
    Dials("small-1", 120, 2, 10),
    Dials("small-2", 160, 2, 60),
    Dials("small-3", 200, 4, 40),
    Dials("small-4", 100, 4, 100),
    Dials("small-5", 180, 5, 30),
    Dials("below-1", 160, 128, 3),
    Dials("below-2", 200, 160, 5),
    Dials("below-3", 120, 100, 8),
    Dials("below-4", 200, 180, 8),
    Dials("below-5", 160, 150, 11),
    Dials("near-1", 120, 110, 14),
    Dials("near-2", 160, 150, 15),
    Dials("near-3", 200, 190, 33),
    Dials("near-4", 160, 150, 36),
    Dials("above-1", 200, 160, 48),
    Dials("above-2", 120, 110, 60),
    Dials("above-3", 160, 64, 80),
    Dials("above-4", 200, 190, 100),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What libvirt says of a migration that is over; `seconds` counts up to when it was called off if it was."""

    converged: bool
    seconds: float
    mib: float = 0.0
    downtime_ms: int = 0
    passes: int = 0


def sample_together(lab: Lab, guests: Sequence[LabGuest], seconds: int) -> dict[str, Dirty]:
    """Measure the dirty rate of many guests at once, by libvirt's page sampling."""
    import libvirt

    for guest in guests:
        guest.domain().startDirtyRateCalc(seconds, 0)
    found: dict[str, Dirty] = {}
    deadline = time.monotonic() + seconds + 20
    time.sleep(seconds)
    while len(found) < len(guests) and time.monotonic() < deadline:
        time.sleep(0.1)
        for guest in guests:
            domain = guest.domain()
            ((_, stats),) = lab.connection(guest.host).domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_DIRTYRATE)
            dirty = measured_dirty(stats, seconds)
            if dirty is not None:
                found[guest.name] = dirty
    return found


def dirty_of(lab: Lab, guests: Sequence[LabGuest]) -> dict[str, Dirty]:
    """Return what the collector would know of each guest after some rounds of both periods."""
    samples: dict[str, list[Dirty]] = {guest.name: [] for guest in guests}
    for seconds in [SHORT_S] * SHORT_ROUNDS + [LONG_TIMES * SHORT_S] * LONG_ROUNDS:
        for name, dirty in sample_together(lab, guests, seconds).items():
            samples[name].append(dirty)
    return {name: dirty_from(found) for name, found in samples.items()}


def rss_mib(guest: LabGuest) -> float:
    """Return what the guest's QEMU holds."""
    return float(guest.domain().memoryStats()["rss"]) / 1024


def migrate(lab: Lab, guest: LabGuest, target: str, give_up_s: float) -> Measured:
    """Migrate under the cap and return libvirt's own statistics; called off when it takes too long."""
    import libvirt

    source, began_s = guest.host, time.monotonic()
    domain = guest.domain()
    domain.migrateSetMaxDowntime(MAX_DOWNTIME_MS, 0)
    errors: list[str] = []

    def go() -> None:
        connection = lab.host(source).open()
        try:
            flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER
            mine = connection.lookupByName(guest.name)
            mine.migrateToURI3(lab.host(target).uri, {libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: CAP_MIB_S}, flags)
        except libvirt.libvirtError as error:
            errors.append(error.get_error_message())
        finally:
            connection.close()

    thread = threading.Thread(target=go, name=f"migrate {guest.name}")
    thread.start()
    thread.join(give_up_s)
    if thread.is_alive():
        domain.abortJob()
        thread.join(60)
    if errors:
        return Measured(False, time.monotonic() - began_s)
    arrived = lab.connection(target).lookupByName(guest.name)
    said = arrived.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    mib = said["data_processed"] / (1 << 20)
    return Measured(True, said["time_elapsed"] / 1000, mib, said["downtime"], said["memory_iteration"])


def start(lab: Lab, dials: Dials) -> LabGuest:
    """Start a guest on the first host."""
    return lab.guest(
        dials.name,
        "lab-1",
        memory_mib=MEMORY_MIB,
        filled_mib=dials.filled_mib,
        dirty_mib=dials.hot_mib,
        dirty_mib_s=dials.mib_s,
    )


def calibrate(lab: Lab) -> tuple[float, float]:
    """Return MiB that QEMU itself holds and seconds that a migration takes beside its memory: medians of three."""
    held, times = [], []
    for number in range(3):
        guest = start(lab, Dials(f"calibration-{number}", 2, 1, 0))
        time.sleep(1)
        held.append(rss_mib(guest) - 2)
        measured = migrate(lab, guest, "lab-2", 30)
        times.append(measured.seconds - predict_guest(2.0, Dirty(0.0, 1.0), setup_s=0.0).seconds)
        guest.destroy()
    return statistics.median(held), statistics.median(times)


def predict_guest(in_use_mib: float, dirty: Dirty, setup_s: float) -> Prediction:
    """Predict one guest."""
    dirtying = from_sample(dirty.mib_s or 0.0, dirty.over_s, dirty.hot_mib, in_use_mib)
    memory = Memory(in_use_mib, MEMORY_MIB + FIRMWARE_MIB - in_use_mib, dirtying)
    return predict(memory, Way(CAP_MIB_S, MAX_DOWNTIME_MS / 1000, LINE_MIB_S, setup_s=setup_s, switch_s=SWITCH_S))


def compare(lab: Lab, chosen: Sequence[Dials], say: Callable[[str], None]) -> bool:
    """Predict all, then migrate each; return whether the figures are good enough."""
    held_mib, setup_s = calibrate(lab)
    say(f"calibrated: QEMU itself holds {held_mib:.0f} MiB, a migration takes {setup_s:.2f} s beside its memory")
    errors, wrong = [], 0
    say(f"{'guest':10}{'in use':>7}{'dirty':>7}{'hot':>6}  {'margin':>6} {'verdict':8}{'seen':8}"
        f"{'pred s':>8}{'seen s':>8}{'error':>7}{'pred MiB':>9}{'seen MiB':>9}{'passes':>8}{'down ms':>8}")  # fmt: skip
    for batch in _batches(chosen, 10):
        guests = [start(lab, dials) for dials in batch]
        time.sleep(1)
        known = dirty_of(lab, guests)
        predicted = {}
        for guest in guests:
            in_use_mib = max(1.0, rss_mib(guest) - held_mib)
            predicted[guest.name] = (in_use_mib, predict_guest(in_use_mib, known[guest.name], setup_s))
        for guest in guests:
            in_use_mib, cost = predicted[guest.name]
            seen = migrate(lab, guest, "lab-2", setup_s + 4 * in_use_mib / CAP_MIB_S)
            guest.destroy()
            error = cost.seconds / seen.seconds - 1
            if cost.converges and seen.converged:
                errors.append(error)
            wrong += cost.converges != seen.converged
            say(_line(guest.name, in_use_mib, known[guest.name], cost, seen))
    worst = max(map(abs, errors), default=0.0)
    say(f"{len(errors)} converge as predicted: time off by {statistics.fmean(map(abs, errors)):.1%} on average,"
        f" {worst:.1%} at worst; verdicts wrong: {wrong} of {len(chosen)}")  # fmt: skip
    return worst <= MOST_ERROR and wrong <= MOST_WRONG


def _batches(chosen: Sequence[Dials], size: int) -> Iterable[Sequence[Dials]]:
    return (chosen[first : first + size] for first in range(0, len(chosen), size))


def _line(name: str, in_use_mib: float, dirty: Dirty, cost: Prediction, seen: Measured) -> str:
    hot = "-" if dirty.hot_mib is None else f"{dirty.hot_mib:.0f}"
    verdicts = ["yes" if converges else "no" for converges in (cost.converges, seen.converged)]
    both = cost.converges and seen.converged
    error = f"{cost.seconds / seen.seconds - 1:+.0%}" if both else "-"
    margin = min(cost.margin, 999.0)
    return (
        f"{name:10}{in_use_mib:7.0f}{dirty.mib_s or 0:7.1f}{hot:>6}  {margin:6.2f} {verdicts[0]:8}{verdicts[1]:8}"
        f"{cost.seconds:8.1f}{seen.seconds:8.1f}{error:>7}{cost.mib:9.0f}{seen.mib:9.0f}"
        f"{cost.passes:>4}/{seen.passes:<3}{1000 * cost.downtime_s:>4.0f}/{seen.downtime_ms:<3}"
    )


def main() -> int:
    """Print predicted against measured for each guest."""
    from tests.lab.lab import Lab

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guests", nargs="*", metavar="NAME", help="only these")
    names = parser.parse_args().guests
    chosen = [dials for dials in GUESTS if not names or dials.name in names]
    with Lab(hosts=2) as lab:
        good = compare(lab, chosen, lambda line: print(line, flush=True))
    print("good" if good else "NOT good", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    run_command(main)
