"""`make lab`: three real libvirt hosts, nine guests crowded on one, spread by Trimtab through live migration.

Shows what happens as it happens, then that the cluster stays at rest, that every guest runs once, and that its memory
came along. Needs root. Exit status 0: all of that held, 1: something did not.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType

from tests.lab.cluster_under_test import ClusterUnderTest, Doubles
from tests.lab.guests import Memory
from tests.lab.lab import Lab
from tests.lab.needs import lab_missing
from tests.lab.processes import LabError
from tests.lab.redis import LabRedis
from tests.lab.spreading import (
    CYCLES_AT_REST,
    GUESTS,
    UNHURRIED,
    Rest,
    crowd,
    discontinuous,
    memories,
    not_alone,
    watch_rest,
)

SPREAD_WITHIN_S = 120
_began_s = time.monotonic()
_printing = threading.Lock()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    with _printing:
        print(f"{time.monotonic() - _began_s:6.1f} s  {text}", flush=True)


def main() -> int:
    """Run the demonstration and clean up, also when interrupted."""
    missing = lab_missing()
    if missing:
        print(missing, file=sys.stderr)
        return 1
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _interrupt)
    lab = Lab(hosts=3)
    try:
        lab.start()
        with LabRedis(lab) as redis:
            return show(lab, redis)
    except LabError as error:
        print(f"make lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make lab: interrupted; everything is stopped", file=sys.stderr)
        return 1
    finally:
        # A second Ctrl-C must not leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        lab.stop()


def show(lab: Lab, redis: LabRedis) -> int:
    """Crowd, spread, rest, verify, sum up."""
    first = lab.hosts[0].name
    say(f"{len(lab.hosts)} hosts are up, each with its own libvirtd: {', '.join(host.name for host in lab.hosts)}")
    crowd(lab, first)
    say(f"{GUESTS} guests run on {first}")
    with ClusterUnderTest(lab, redis, UNHURRIED, listener=say) as cluster, Doubles(lab) as doubles:
        cluster.start_agents()
        counts, before = cluster.counts(), memories(lab)
        cluster.start_daemon()
        cluster.wait_for_rest(SPREAD_WITHIN_S)
        say(f"spread: {_counts(cluster.counts())}; now it has to rest for {CYCLES_AT_REST} cycles")
        rest = watch_rest(cluster)
        doubled = list(doubles.found)
        wrong = [*_unrest(rest), *_unspread(cluster), *doubled, *not_alone(lab), *discontinuous(lab, before)]
        after = memories(lab)
        status = cluster.stop_daemon()
        if status:
            wrong.append(f"trimtab run ended with exit status {status}")
        _sum_up(lab, cluster, counts, before, after, rest)
    for text in wrong:
        print(f"WRONG: {text}")
    print(f"\n{'FAILED' if wrong else 'passed'} after {time.monotonic() - _began_s:.0f} s")
    return 1 if wrong else 0


def _unrest(rest: Rest) -> list[str]:
    if rest.moves:
        return [f"{rest.moves} moves were begun while it should rest"]
    if rest.cycles < CYCLES_AT_REST:
        return [f"only {rest.cycles} of {CYCLES_AT_REST} cycles at rest were seen in {rest.lasted_s:.0f} s"]
    return []


def _unspread(cluster: ClusterUnderTest) -> list[str]:
    counts = cluster.counts()
    return [] if max(counts.values()) - min(counts.values()) <= 1 else [f"not spread: {_counts(counts)}"]


def _sum_up(
    lab: Lab,
    cluster: ClusterUnderTest,
    counts: dict[str, int],
    before: dict[str, Memory],
    after: dict[str, Memory],
    rest: Rest,
) -> None:
    moved = {name: f"{source} -> {target}" for name, source, target in cluster.moves()}
    print("\nhost     guests before   after")
    for name, now in cluster.counts().items():
        print(f"{name:<8} {counts[name]:>13} {now:>7}")
    print("\nguest    moved             signature   counter before     after")
    for name in sorted(before):
        same = "same" if before[name].signature == after[name].signature == lab.guests[name].signature else "CHANGED"
        went_on = f"{before[name].counter:>14} {after[name].counter:>9}"
        print(f"{name:<8} {moved.get(name, 'stayed'):<17} {same:<9} {went_on}")
    print(f"\n{len(cluster.moves())} moves done; then none in {rest.cycles} cycles ({rest.lasted_s:.0f} s)")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items())


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
