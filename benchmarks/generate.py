"""Generates skewed clusters of a given size as snapshots, or as cluster files: `python -m benchmarks.generate 20 200`.

Hosts of 64 cores and 256 GiB; guests of 1 to 16 vCPUs with 2 to 8 GiB per vCPU. `skew` from 0 (even) to 1 crowds the
guests onto the first hosts, as far as memory and CPU limits let them.
"""

from __future__ import annotations

import argparse
import random
import sys
import uuid
from datetime import UTC, datetime
from itertools import accumulate, chain
from pathlib import Path

from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel
from cluster.rules import Affinity, AntiAffinity, Pin, Rule, Selector
from cluster.snapshot import Snapshot

CORES, MEMORY_MIB = 64, 262_144
GUEST_VCPUS = (1, 2, 2, 4, 4, 4, 8, 8, 16)
NAMESPACE = uuid.UUID("b1a34f0c-5a86-4a37-9c2c-1f6a4f1b9f55")
TAKEN_AT = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


def generate(hosts: int, guests: int, seed: int = 1, skew: float = 0.7, fill: float = 0.55, rules: int = 0) -> Snapshot:
    """Return a cluster. `fill` is the share of all memory that guests take; `rules` the number of each kind."""
    dice = random.Random(seed)
    shapes = [dice.choice(GUEST_VCPUS) for _ in range(guests)]
    memory = [vcpus * dice.choice((2, 4, 4, 8)) * 1024 for vcpus in shapes]
    scale = fill * hosts * MEMORY_MIB / sum(memory)
    memory = [max(512, round(one * scale / 256) * 256) for one in memory]
    cpu = [max(50, round(vcpus * 1000 * min(0.9, max(0.02, dice.gauss(0.35, 0.2))))) for vcpus in shapes]
    cpu_scale = min(1.0, 0.5 * hosts * CORES * 1000 / sum(cpu))
    cpu = [max(10, round(one * cpu_scale)) for one in cpu]
    all_hosts = tuple(
        Host(
            id=f"host-{i:04d}",
            cpu_millicores=CORES * 1000,
            memory_mib=MEMORY_MIB,
            domains={"rack": f"rack-{i // 10}"},
            power=PowerModel(controllable=True, watts=((0.0, 110.0), (0.5, 210.0), (1.0, 320.0)), sleep_watts=6.0),
        )
        for i in range(hosts)
    )
    placed = _place(dice, hosts, list(zip(cpu, memory, shapes, strict=True)), skew)
    all_guests = tuple(
        Guest(
            id=str(uuid.uuid5(NAMESPACE, f"{seed}/{i}")),
            name=f"guest-{i:05d}",
            host=all_hosts[host].id,
            vcpus=vcpus,
            memory_mib=mib,
            usage=Usage(cpu_millicores=millicores),
            labels={"app": f"app-{i % max(1, rules * 3)}"} if rules else {},
        )
        for i, (host, vcpus, mib, millicores) in enumerate(zip(placed, shapes, memory, cpu, strict=True))
    )
    return Snapshot(f"generated-{hosts}-{guests}-{seed}", TAKEN_AT, all_hosts, all_guests, _rules(rules, all_guests))


def _place(dice: random.Random, hosts: int, guests: list[tuple[int, int, int]], skew: float) -> list[int]:
    """Host of each guest: drawn with falling weight, the next host with room where that one is full."""
    # Summed once: drawing then takes the logarithm of the hosts, not all of them again for each guest.
    cum_weights = list(accumulate((1 - skew) + skew * 2 * (hosts - i) / hosts for i in range(hosts)))
    cpu, memory, vcpus = [0] * hosts, [0] * hosts, [0] * hosts
    placed = []
    for millicores, mib, cores in guests:
        first = dice.choices(range(hosts), cum_weights=cum_weights)[0]
        for host in chain(range(first, hosts), range(first)):
            fits = cpu[host] + millicores <= 0.8 * CORES * 1000 and memory[host] + mib <= MEMORY_MIB
            if fits and vcpus[host] + cores <= 8 * CORES:
                break
        else:
            host = min(range(hosts), key=lambda one: memory[one])
        cpu[host] += millicores
        memory[host] += mib
        vcpus[host] += cores
        placed.append(host)
    return placed


def _rules(count: int, guests: tuple[Guest, ...]) -> tuple[Rule, ...]:
    """Few of each kind over small groups, some of them broken from the start."""
    made: list[Rule] = []
    for i in range(count):
        three = tuple(guest.id for guest in guests[i * 5 : i * 5 + 3])
        two = tuple(guest.id for guest in guests[i * 5 + 3 : i * 5 + 5])
        made.append(AntiAffinity(name=f"apart-{i}", guests=Selector(ids=three)))
        made.append(Affinity(name=f"together-{i}", guests=Selector(ids=two)))
        hosts = tuple(sorted({guests[i * 5].host, "host-0000", "host-0001"}))
        made.append(Pin(name=f"pin-{i}", guests=Selector(ids=three[:1]), hosts=Selector(ids=hosts)))
    return tuple(made)


def main() -> None:
    """Write a cluster file."""
    from cluster.formats.cluster_file import write_cluster

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", type=int)
    parser.add_argument("guests", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skew", type=float, default=0.7)
    parser.add_argument("--fill", type=float, default=0.55)
    parser.add_argument("--rules", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = write_cluster(
        generate(options.hosts, options.guests, options.seed, options.skew, options.fill, options.rules)
    )
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
