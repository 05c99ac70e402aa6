"""Every moment of a plan by brute force, from the contract's words alone; and clusters so tight that moves wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from math import ceil, floor

from hypothesis import assume
from hypothesis import strategies as st

from cluster.guest import Guest
from cluster.host import Host
from cluster.limits import Limits
from cluster.rules import AntiAffinity, Enforcement, Forbid, Pin, Rule, Selector, Spread
from cluster.snapshot import Snapshot
from tests.scheduler.solver.clusters import GIB, cluster, guest, host, these


@dataclass(frozen=True)
class Leg:
    """One migration and the indices of those it waits for."""

    guest: str
    source: str
    target: str
    after: tuple[int, ...]


def moments(legs: Sequence[Leg]) -> Iterator[tuple[frozenset[int], frozenset[int]]]:
    """Every set of finished legs closed under `after`, with every set of legs that may then be under way."""
    everything = range(len(legs))
    for many in range(len(legs) + 1):
        for finished in map(frozenset, combinations(everything, many)):
            if any(not finished.issuperset(legs[one].after) for one in finished):
                continue
            ready = [one for one in everything if one not in finished and finished.issuperset(legs[one].after)]
            for under_way in chain.from_iterable(combinations(ready, n) for n in range(len(ready) + 1)):
                yield finished, frozenset(under_way)


def unsafe_moments(snapshot: Snapshot, limits: Limits, legs: Sequence[Leg]) -> list[str]:
    """What any moment breaks: capacity or limits, the rules that hold at every moment, or one guest moving twice."""
    start = {guest.id: frozenset({guest.host}) for guest in snapshot.guests}
    most = {
        (one.id, what): max(room, _used(snapshot, start, one.id, what))
        for one in snapshot.hosts
        for what, room in _rooms(one, limits).items()
    }
    broken = {rule.name: _broken(rule, snapshot, start) for rule in snapshot.rules}
    wrong = []
    for finished, under_way in moments(legs):
        where = dict(start)
        for index, leg in enumerate(legs):  # in plan order, in which a parked guest's second leg comes second
            if index in finished:
                where[leg.guest] = frozenset({leg.target})
        moving = [legs[index] for index in under_way]
        if len({leg.guest for leg in moving}) < len(moving):
            wrong.append("a guest under way twice")
        for leg in moving:
            if where[leg.guest] != {leg.source}:
                wrong.append(f"{leg.guest} leaves {leg.source} from elsewhere")
            where[leg.guest] = frozenset({leg.source, leg.target})
        for (one, what), room in most.items():
            if _used(snapshot, where, one, what) > room:
                wrong.append(f"{what} of {one} after {sorted(finished)} during {sorted(under_way)}")
        settled = {**where, **{leg.guest: frozenset({leg.source}) for leg in moving}}
        for rule in snapshot.rules:
            # A spread is the better for a guest on two hosts, so what counts is what is sure.
            for state in (where, settled):
                if _broken(rule, snapshot, state) > broken[rule.name] and not (
                    isinstance(rule, Spread) and state is where
                ):
                    wrong.append(f"{rule.name} after {sorted(finished)} during {sorted(under_way)}")
    return wrong


def _rooms(of: Host, limits: Limits) -> dict[str, int]:
    cores, memory = of.cpu_millicores - of.reserved.cpu_millicores, of.memory_mib - of.reserved.memory_mib
    rooms: dict[str, float | None] = {
        "cpu": max(0, cores) * limits.cpu,
        "memory": max(0, memory) * limits.memory,
        "vcpus": max(0, cores) * limits.vcpus_per_core / 1000,
        "net": None if of.net_mbit_s is None else of.net_mbit_s * limits.network,
        "disk": None if of.disk_mib_s is None else of.disk_mib_s * limits.disk,
        "hugepages": of.hugepages_mib,
        "local_disk": of.local_disk_mib,
    }
    return {what: floor(room + 1e-6) for what, room in rooms.items() if room is not None}


def _used(snapshot: Snapshot, where: Mapping[str, frozenset[str]], host_id: str, what: str) -> int:
    takes: dict[str, Callable[[Guest], int]] = {
        "cpu": lambda one: one.usage.cpu_millicores or 0,
        "memory": lambda one: one.memory_mib + one.overhead_mib,
        "vcpus": lambda one: one.vcpus,
        "net": lambda one: ceil(one.usage.net_mbit_s or 0),
        "disk": lambda one: ceil(one.usage.disk_mib_s or 0),
        "hugepages": lambda one: one.hugepages_mib,
        "local_disk": lambda one: one.local_disk_mib,
    }
    return sum(takes[what](one) for one in snapshot.guests if host_id in where[one.id])


def _broken(rule: Rule, snapshot: Snapshot, where: Mapping[str, frozenset[str]]) -> int:
    if rule.enforcement is Enforcement.SOFT:
        return 0
    group = [where[one.id] for one in snapshot.guests if rule.guests.matches(one)]
    cells = {one.id: one.domain(getattr(rule, "domain", "host")) for one in snapshot.hosts}
    match rule:
        case AntiAffinity():
            in_cells = [{cells[on] for on in hosts} for hosts in group]
            return sum(1 for one, other in combinations(in_cells, 2) if one & other)
        case Spread():
            held = {cells[on] for hosts in group for on in hosts}
            return max(0, rule.at_least - len(held)) if group else 0
        case Pin():
            return sum(1 for hosts in group if any(not rule.hosts.matches(snapshot.host_by_id[one]) for one in hosts))
        case Forbid():
            return sum(1 for hosts in group if any(rule.hosts.matches(snapshot.host_by_id[one]) for one in hosts))
    return 0


@st.composite
def shuffles(draw: st.DrawFn) -> tuple[Snapshot, dict[str, str]]:
    """A cluster of nearly full hosts and a wanted placement in which guests of like size have changed places.

    Hosts hold just what is on them, now and then a little more, and there may be an empty one; or there is room enough,
    and only rules make moves wait. Rules may be broken.
    """
    places = [f"h{number}" for number in range(draw(st.integers(2, 3)))]
    sizes = draw(st.lists(st.sampled_from([4, 8]), min_size=3, max_size=6))
    guests = [
        guest(f"g{number}", draw(st.sampled_from(places)), gib=gib, cores=gib / 8) for number, gib in enumerate(sizes)
    ]
    wanted = _permuted(draw, guests)
    load = {
        one: max(
            sum(guest.memory_mib for guest in guests if place[guest.id] == one)
            for place in ({guest.id: guest.host for guest in guests}, wanted)
        )
        for one in places
    }
    roomy = draw(st.integers(0, 2)) == 0
    hosts = [
        replace(
            host(one, cores=64, domains={"rack": draw(st.sampled_from(["r1", "r2"]))}),
            memory_mib=max(GIB, load[one] + GIB * (64 if roomy else draw(st.sampled_from([0, 0, 4, 8])))),
        )
        for one in places
    ]
    if room := draw(st.sampled_from([0, 4, 8, 8, 64])):
        hosts.append(host("spare", gib=room, cores=64))
    rules = [
        draw(_rules(f"r{number}", guests, hosts))
        for number in range(draw(st.integers(2 if roomy else 0, 4 if roomy else 2)))
    ]
    snapshot = cluster(hosts, guests, rules)
    settled = [{one: frozenset({on}) for one, on in place.items()} for place in (_start(snapshot), wanted)]
    kept = tuple(rule for rule in rules if _broken(rule, snapshot, settled[1]) <= _broken(rule, snapshot, settled[0]))
    return replace(snapshot, rules=kept), wanted


def _permuted(draw: st.DrawFn, guests: Sequence[Guest]) -> dict[str, str]:
    """Guests of one size swap places among themselves."""
    wanted: dict[str, str] = {}
    for gib in (4, 8):
        alike = [one for one in guests if one.memory_mib == gib * GIB]
        places = draw(st.permutations([one.host for one in alike]))
        wanted |= {one.id: place for one, place in zip(alike, places, strict=True)}
    assume(any(wanted[one.id] != one.host for one in guests))
    return wanted


def _start(snapshot: Snapshot) -> dict[str, str]:
    return {one.id: one.host for one in snapshot.guests}


@st.composite
def _rules(draw: st.DrawFn, name: str, guests: Sequence[Guest], hosts: Sequence[Host]) -> Rule:
    chosen = these(*draw(st.lists(st.sampled_from([one.id for one in guests]), min_size=1, max_size=4, unique=True)))
    some: Selector = these(
        *draw(st.lists(st.sampled_from([one.id for one in hosts]), min_size=1, max_size=3, unique=True))
    )
    domain = draw(st.sampled_from(["host", "rack"]))
    match draw(st.integers(0, 3)):
        case 0:
            return AntiAffinity(name=name, guests=chosen, domain=domain)
        case 1:
            return Spread(name=name, guests=chosen, domain=domain, at_least=draw(st.integers(1, 3)))
        case 2:
            return Pin(name=name, guests=chosen, hosts=some)
        case _:
            return Forbid(name=name, guests=chosen, hosts=some)
