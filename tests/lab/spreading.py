"""Nine guests crowded on one host, spread by the daemon, and at rest after: the story that demo and tests share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.lab.cluster_under_test import ClusterUnderTest, starts_of_steps
from tests.lab.guests import Memory
from tests.lab.lab import Lab

GUESTS = 9
MEMORY_MIB = 192
CPU_MILLICORES = (20, 60, 100)
CYCLES_AT_REST = 5
# So that the rest goes on for longer than a guest's cooldown.
UNHURRIED = {"scheduler": {"interval_s": 2.0}}


@dataclass(frozen=True, slots=True)
class Rest:
    """What was seen of the daemon while it had nothing to do."""

    cycles: int
    lasted_s: float
    moves: int


def crowd(lab: Lab, host: str, guests: int = GUESTS) -> None:
    """Start guests of three kinds of load on one host."""
    for number in range(1, guests + 1):
        load = CPU_MILLICORES[number % len(CPU_MILLICORES)]
        name = f"web-{number}"
        lab.guest(name, host, memory_mib=MEMORY_MIB, cpu_millicores=load, dirty_mib=16, dirty_mib_s=1, start=False)
    boot(lab)


def boot(lab: Lab) -> None:
    """Start all guests that were only defined, together, and wait until they count."""
    starting = [name for name in lab.guests if not lab.where(name)]
    for name in starting:
        (host,) = lab.defined(name)
        lab.connection(host).lookupByName(name).create()
    for name in starting:
        lab.guests[name].wait_booted()


def memories(lab: Lab) -> dict[str, Memory]:
    """Return signature and counter of every guest; `LabError` for one that does not run exactly once."""
    return {name: guest.read() for name, guest in sorted(lab.guests.items())}


def watch_rest(cluster: ClusterUnderTest, cycles: int = CYCLES_AT_REST) -> Rest:
    """Watch the daemon for so many cycles, by the times of the status that it publishes, and count what it began."""
    most_s, began_s = 4 * cycles * cluster.interval_s, time.monotonic()
    begun, moved, seen, said_at = len(starts_of_steps(cluster.journal())), 0, 0, ""
    while seen < cycles and not moved and time.monotonic() - began_s < most_s:
        time.sleep(cluster.interval_s)
        # One that is new and says that all is even comes from a daemon that has looked again.
        new = str(cluster.status().get("at", said_at))
        seen, said_at = seen + (cluster.rests() and new != said_at), new
        moved = len(starts_of_steps(cluster.journal())) - begun
    return Rest(seen, time.monotonic() - began_s, moved)


def discontinuous(lab: Lab, before: Mapping[str, Memory]) -> list[str]:
    """Return a sentence for each guest whose memory is not what it was, counted on; empty when all went on living."""
    wrong = []
    for name, memory in memories(lab).items():
        if memory.signature != before[name].signature or memory.signature != lab.guests[name].signature:
            wrong.append(f"{name}: its signature is {memory.signature.hex()}, not {before[name].signature.hex()}")
        elif memory.counter <= before[name].counter:
            wrong.append(f"{name}: its counter went from {before[name].counter} to {memory.counter}")
    return wrong


def not_alone(lab: Lab) -> list[str]:
    """Return a sentence for each guest that does not have exactly one QEMU, running, defined where it runs."""
    wrong = []
    for name in sorted(lab.guests):
        runs, defined, processes = lab.where(name), lab.defined(name), sorted(lab.qemus(name))
        if not (len(runs) == 1 and runs == defined == processes):
            wrong.append(f"{name}: runs on {runs}, defined on {defined}, QEMU processes on {processes}")
    return wrong
