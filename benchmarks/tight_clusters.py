"""Random clusters on which plans are hard to order: nearly full, overloaded, ruled, drained. By seed.

Each kind of `KINDS` leans to one difficulty; all hold some of the others. Memory is whole GiB, so that guests of like
size can change places on hosts without room to spare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random

from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel
from cluster.rules import (
    Affinity,
    AntiAffinity,
    Enforcement,
    Forbid,
    GroupMoveLimit,
    Ignore,
    Near,
    Pin,
    Rule,
    Selector,
    Spread,
)
from cluster.snapshot import Snapshot

GIB = 1024
KINDS = ("tight", "broken", "groups", "pages", "drained", "night")
AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
_POWER = PowerModel(controllable=True, watts=((0.0, 100.0), (1.0, 300.0)), sleep_watts=5.0)
_RACKS = 3
_KIND_OF_RULES = ("apart", "apart", "together", "near", "spread", "pin", "forbid", "few", "ignore")


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster, the policy to plan for, the hosts to empty, and a placement in which some have changed places."""

    kind: str
    snapshot: Snapshot
    policy: str
    drained: tuple[str, ...]
    wanted: dict[str, str]


def tight_cluster(seed: int) -> Case:
    """Return the case of a seed."""
    random = Random(seed)
    kind = KINDS[seed % len(KINDS)]
    names = [f"h{number}" for number in range(random.randint(3, 9))]
    guests = [_guest(f"g{number}", random, kind) for number in range(random.randint(2, 6) * len(names))]
    crowded = names[: max(1, round(len(names) * (0.4 if kind == "broken" else random.uniform(0.6, 1.0))))]
    guests = [replace(guest, host=random.choice(crowded)) for guest in guests]
    hosts = [_host(name, number, guests, random, kind) for number, name in enumerate(names)]
    if random.random() < 0.5:
        hosts.append(_host("spare", len(names), guests, random, kind))
    rules = [_rule(f"r{number}", hosts, guests, random) for number in range(random.randint(*_rules_of(kind)))]
    drained: tuple[str, ...] = ()
    policy = random.choice(("repair", "balance", "balance"))
    if kind == "drained":
        policy, drained = "drain", tuple(random.sample(names, random.randint(1, max(1, len(names) // 3))))
    elif kind == "night":
        policy = "consolidate"
    snapshot = Snapshot(f"seed-{seed}", AT, tuple(hosts), tuple(guests), _consistent(rules))
    return Case(kind, snapshot, policy, drained, _changed_places(guests, random))


def _rules_of(kind: str) -> tuple[int, int]:
    return (3, 6) if kind == "groups" else (0, 3)


def _guest(name: str, random: Random, kind: str) -> Guest:
    gib = random.choice((1, 2, 2, 4, 4, 8))
    return Guest(
        id=name,
        host="",
        name=name,
        vcpus=random.choice((1, 2, 4)),
        memory_mib=gib * GIB,
        overhead_mib=random.choice((0, 0, 256)),
        usage=Usage(
            random.randrange(0, 1500),
            gib * GIB // 2,
            random.choice((None, random.uniform(0, 300))),
            random.choice((None, random.uniform(0, 40))),
        ),
        hugepages_mib=random.choice((0, gib * GIB // 2, gib * GIB)) if kind == "pages" else 0,
        local_disk_mib=random.choice((0, 0, 0, 10 * GIB)) if kind == "pages" else 0,
        movable=(movable := random.random() > 0.05),
        why_not=None if movable else "a device is passed through",
        labels={"app": random.choice(("web", "db", "cache"))},
    )


def _host(name: str, number: int, guests: Sequence[Guest], random: Random, kind: str) -> Host:
    """A host with room for little more than what is on it; a broken cluster's may have less."""
    on = [guest for guest in guests if guest.host == name]
    held_mib = sum(guest.memory_mib + guest.overhead_mib for guest in on)
    pages_mib, disk_mib = (sum(amounts) for amounts in ([g.hugepages_mib for g in on], [g.local_disk_mib for g in on]))
    mean_mib = sum(guest.memory_mib + guest.overhead_mib for guest in guests) // max(1, len({g.host for g in guests}))
    spare_mib = GIB * random.choice((0, 0, 1, 2, 4, 8, 16))
    memory_mib = max(4 * GIB, (held_mib if held_mib else mean_mib // 2) + spare_mib)
    if kind == "broken" and random.random() < 0.4:
        memory_mib = max(4 * GIB, int(memory_mib * random.uniform(0.6, 1.0)))
    elif kind == "night" or random.random() < 0.2:
        memory_mib += 24 * GIB
    return Host(
        id=name,
        cpu_millicores=1000 * random.choice((4, 8, 16, 16, 32)),
        memory_mib=memory_mib,
        net_mbit_s=random.choice((None, None, 1000.0, 10000.0)),
        disk_mib_s=random.choice((None, None, 200.0)),
        hugepages_mib=pages_mib + GIB * random.choice((0, 1, 4)) if kind == "pages" else None,
        local_disk_mib=disk_mib + 10 * GIB * random.choice((0, 1, 2)) if kind == "pages" else None,
        domains={"rack": f"rack-{number % _RACKS}"},
        power=_POWER,
        cordoned=random.random() < 0.04,
        reachable=random.random() > 0.03,
    )


def _rule(name: str, hosts: Sequence[Host], guests: Sequence[Guest], random: Random) -> Rule:
    chosen = Selector(
        ids=tuple(guest.id for guest in random.sample(list(guests), min(len(guests), 5))[: random.randint(2, 5)])
    )
    some = Selector(ids=tuple(host.id for host in random.sample(list(hosts), max(1, len(hosts) * 2 // 3))))
    domain = random.choice(("host", "host", "rack"))
    soft = random.random() < 0.1
    how = Enforcement.SOFT if soft else Enforcement.REPAIR
    match random.choice(_KIND_OF_RULES):
        case "apart":
            return AntiAffinity(name=name, guests=chosen, domain=domain, enforcement=how)
        case "together":
            return Affinity(name=name, guests=chosen, domain=domain, enforcement=how)
        case "near":
            to = Selector(ids=tuple(guest.id for guest in random.sample(list(guests), min(len(guests), 2))))
            return Near(name=name, guests=chosen, to=to, domain=domain, enforcement=how)
        case "spread":
            return Spread(name=name, guests=chosen, domain=domain, at_least=random.randint(1, 3), enforcement=how)
        case "pin":
            return Pin(name=name, guests=Selector(ids=chosen.ids[:2]), hosts=some, enforcement=how)
        case "forbid":
            return Forbid(name=name, guests=Selector(ids=chosen.ids[:2]), hosts=some, enforcement=how)
        case "few":
            return GroupMoveLimit(name=name, guests=chosen, at_most=random.randint(1, 3))
        case _:
            return Ignore(name=name, guests=Selector(ids=chosen.ids[:1]))


def _consistent(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Leave out rules that would contradict an earlier one on their face: of a pair of kinds that can, the first."""
    kept: list[Rule] = []
    for rule in rules:
        rivals = [one for one in kept if set(one.guests.ids) & set(rule.guests.ids) and type(one) is not type(rule)]
        if not any(isinstance(rule, Pin | Forbid | Affinity | AntiAffinity | Spread) for _ in rivals):
            kept.append(rule)
    return tuple(kept)


def _changed_places(guests: Sequence[Guest], random: Random) -> dict[str, str]:
    """Return where each guest is once some, of like demand, have changed places, rings of two to six of them."""
    place = {guest.id: guest.host for guest in guests}
    alike: dict[tuple[int, ...], list[Guest]] = {}
    for guest in guests:
        alike.setdefault((guest.memory_mib, guest.overhead_mib, guest.hugepages_mib, guest.local_disk_mib), []).append(
            guest
        )
    for group in alike.values():
        random.shuffle(group)
        for first in range(0, len(group) - 1, size := random.randint(2, 6)):
            ring = group[first : first + size]
            hosts = [place[guest.id] for guest in ring]
            place |= {guest.id: host for guest, host in zip(ring, hosts[1:] + hosts[:1], strict=True)}
    return place
