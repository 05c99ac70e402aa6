"""Pretend clusters made from a snapshot, or invented from a seed for the demonstration that `make run` shows.

The same arguments give the same world. What is invented is meant to look like a small private cloud after months of
nobody moving anything: three generations of hosts in three racks, most guests on a few of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from cluster.clock import Clock
from cluster.config.settings import HostSettings, SimulatorSettings
from cluster.guest import Guest, MigrationPolicy, Usage
from cluster.host import Host, PowerModel, Reserved
from cluster.rules import Affinity, AntiAffinity, Pin, Rule, Selector, Spread
from cluster.snapshot import Snapshot
from simulator.faults import Fault
from simulator.guests import ChangingLoad, SimGuest, Writes, dice
from simulator.world import DEFAULT_LINK_MBIT_S, World

_NAMES = uuid.UUID("5e0c2d0e-6a63-5c0b-9d2a-6d1f2d7e6b11")

# cores, memory GiB, power curve, sleep watts, wake s: three generations of two-socket servers.
_GENERATIONS: tuple[tuple[int, int, tuple[tuple[float, float], ...], float, float], ...] = (
    (24, 96, ((0.0, 95.0), (0.5, 185.0), (1.0, 260.0)), 6.0, 150.0),
    (32, 128, ((0.0, 105.0), (0.5, 205.0), (1.0, 310.0)), 7.0, 180.0),
    (48, 192, ((0.0, 120.0), (0.5, 260.0), (1.0, 420.0)), 8.0, 210.0),
)

# app, share of guests, vCPUs, memory MiB, CPU use per vCPU, share of memory in use, hot MiB, hot MiB/s, cold MiB/s
_APPS: tuple[tuple[str, int, tuple[int, ...], tuple[int, ...], float, float, float, float, float], ...] = (
    ("web", 6, (2, 4), (2048, 3072, 4096), 0.36, 0.70, 60.0, 150.0, 8.0),
    ("api", 6, (2, 4), (2048, 4096), 0.40, 0.70, 80.0, 200.0, 10.0),
    ("batch", 4, (4, 6), (4096, 6144), 0.50, 0.75, 100.0, 250.0, 25.0),
    ("cache", 2, (2,), (4096, 6144, 8192), 0.32, 0.85, 150.0, 300.0, 15.0),
    ("db", 2, (4, 6), (6144, 8192), 0.36, 0.80, 120.0, 200.0, 20.0),
    ("ci", 4, (2, 4), (2048, 4096), 0.45, 0.65, 80.0, 200.0, 15.0),
)

_RACKS = 3
_FULL_CPU_RATIO = 0.74
_FULL_MEMORY_RATIO = 0.92


def world_from_snapshot(
    snapshot: Snapshot,
    clock: Clock,
    seed: int = 1,
    *,
    drift_ratio: float = 0.0,
    link_mbit_s: float = DEFAULT_LINK_MBIT_S,
    faults: Sequence[Fault] = (),
    sample_s: float = 1.0,
) -> World:
    """Return a world that begins as the snapshot says; loads drift by up to `drift_ratio` around the measured figures.

    A guest with a measured dirty rate writes so that sampling it again would measure about the same.
    """
    guests = [
        SimGuest(
            guest,
            ChangingLoad(
                base=float(guest.usage.cpu_millicores or 0),
                ceiling=guest.vcpus * 1000.0,
                seed=_seed_of(seed, number),
                noise_ratio=drift_ratio,
            ),
            _writes_of(guest),
        )
        for number, guest in enumerate(snapshot.guests)
    ]
    return World(
        snapshot.hosts, guests, clock, snapshot.rules, faults=faults, link_mbit_s=link_mbit_s, sample_s=sample_s
    )


def demo_world(
    settings: SimulatorSettings, clock: Clock, *, faults: Sequence[Fault] = (), sample_s: float = 1.0
) -> World:
    """Return the invented cluster: by default 12 hosts and 120 guests, 70 % of them on the first 40 % of the hosts."""
    random = Random(settings.seed)
    hosts = [_demo_host(number, settings.link_mbit_s) for number in range(settings.hosts)]
    crowded = hosts[: max(1, round(settings.hosts * 0.4))]
    guests = [_demo_guest(number, random) for number in range(settings.guests)]
    apps = {guest.id: app for guest, app in guests}
    placed, rules = _with_rules(_place([guest for guest, _ in guests], hosts, crowded, settings.skew), hosts)
    sim_guests = [_with_load(guest, apps[guest.id], settings, number) for number, guest in enumerate(placed)]
    return World(
        hosts,
        sim_guests,
        clock,
        rules,
        faults=faults,
        link_mbit_s=settings.link_mbit_s,
        sample_s=sample_s,
    )


def demo_settings_hosts(world: World) -> tuple[HostSettings, ...]:
    """Return the `[[hosts]]` entries an operator would write for the world: domains, labels, links and power."""
    return tuple(
        HostSettings(
            id=host.facts.id,
            migration_mbit_s=host.facts.migration_mbit_s,
            reserved_cpu_millicores=host.facts.reserved.cpu_millicores,
            reserved_memory_mib=host.facts.reserved.memory_mib,
            domains=host.facts.domains,
            labels=host.facts.labels,
            storage=host.facts.storage,
            power=host.facts.power,
        )
        for host in world.hosts.values()
    )


def _demo_host(number: int, link_mbit_s: float) -> Host:
    rack = number % _RACKS
    cores, memory_gib, watts, sleep_watts, wake_s = _GENERATIONS[(number // _RACKS + rack) % len(_GENERATIONS)]
    return Host(
        id=f"kvm-{'abc'[rack]}{number // _RACKS + 1}",
        cpu_millicores=cores * 1000,
        memory_mib=memory_gib * 1024,
        reserved=Reserved(cpu_millicores=1000, memory_mib=4096),
        migration_mbit_s=link_mbit_s,
        domains={"rack": f"r{rack + 1}"},
        labels={"generation": str(cores)},
        cpu_models=("x86-64-v2", "x86-64-v3"),
        machines=("pc-q35-7.2",),
        storage=("ceph",),
        networks=("prod",),
        power=PowerModel(controllable=True, watts=watts, sleep_watts=sleep_watts, wake_s=wake_s, sleep_s=20.0),
    )


def _demo_guest(number: int, random: Random) -> tuple[Guest, int]:
    """Return a guest, not placed yet, and the index of its application."""
    shares = [share for _, share, *_ in _APPS]
    index = random.choices(range(len(_APPS)), weights=shares)[0]
    app, _, vcpus, memory, _, in_use, *_ = _APPS[index]
    memory_mib = random.choice(memory)
    guest = Guest(
        id=str(uuid.uuid5(_NAMES, f"guest-{number}")),
        host="",
        name=f"{app}-{number + 1:03d}",
        vcpus=random.choice(vcpus),
        memory_mib=memory_mib,
        overhead_mib=256,
        usage=Usage(
            cpu_millicores=None,
            memory_mib=round(memory_mib * in_use * random.uniform(0.85, 1.1)),
            net_mbit_s=round(random.uniform(5, 120), 1),
            disk_mib_s=round(random.uniform(0.5, 8), 1),
        ),
        cpu_model="x86-64-v2",
        machine="pc-q35-7.2",
        storage=("ceph",),
        networks=("prod",),
        labels={"app": app},
        migration=MigrationPolicy(max_downtime_ms=300),
    )
    return guest, index


def _with_load(guest: Guest, app: int, settings: SimulatorSettings, number: int) -> SimGuest:
    _, _, _, _, per_vcpu, _, hot_mib, hot_mib_s, cold_mib_s = _APPS[app]
    seed = _seed_of(settings.seed, number)
    load = ChangingLoad(
        base=1000 * guest.vcpus * per_vcpu * (0.7 + 0.6 * dice(seed, -1)),
        ceiling=guest.vcpus * 1000.0,
        seed=seed,
        day_ratio=0.1,
        noise_ratio=settings.drift_ratio,
        noise_period_s=45.0,
        step_ratio=2 * settings.drift_ratio,
        step_chance=0.1,
        step_period_s=300.0,
    )
    return SimGuest(guest, load, Writes(hot_mib, hot_mib_s, cold_mib_s))


def _place(guests: Sequence[Guest], hosts: Sequence[Host], crowded: Sequence[Host], skew: float) -> list[Guest]:
    """Give the first `skew` of the guests to the crowded hosts as far as they fit, the others to the rest, evenly."""
    used = {host.id: [0.0, 0.0] for host in hosts}
    others = [host for host in hosts if host not in crowded] or list(crowded)
    placed = []
    for number, guest in enumerate(guests):
        wish = crowded if number < skew * len(guests) else others
        host = _emptiest(guest, wish, used) or _emptiest(guest, hosts, used)
        if host is None:
            raise ValueError(f"{len(guests)} guests do not fit on {len(hosts)} hosts; use fewer guests or more hosts")
        used[host.id][0] += _expected_millicores(guest)
        used[host.id][1] += guest.memory_demand_mib
        placed.append(replace(guest, host=host.id))
    return placed


def _emptiest(guest: Guest, hosts: Sequence[Host], used: dict[str, list[float]]) -> Host | None:
    """Return the host that stays emptiest with the guest added, among those that stay under their limits."""
    best: tuple[float, Host] | None = None
    for host in hosts:
        cpu = (used[host.id][0] + _expected_millicores(guest)) / (host.cpu_millicores - host.reserved.cpu_millicores)
        memory = (used[host.id][1] + guest.memory_demand_mib) / (host.memory_mib - host.reserved.memory_mib)
        fits = cpu <= _FULL_CPU_RATIO and memory <= _FULL_MEMORY_RATIO
        if fits and (best is None or max(cpu, memory) < best[0]):
            best = (max(cpu, memory), host)
    return None if best is None else best[1]


def _expected_millicores(guest: Guest) -> float:
    per_vcpu = next(row[4] for row in _APPS if row[0] == guest.labels["app"])
    return 1000 * guest.vcpus * per_vcpu


def _with_rules(guests: Sequence[Guest], hosts: Sequence[Host]) -> tuple[list[Guest], tuple[Rule, ...]]:
    """Return the guests, some labelled as a set, and rules over these sets that hold where the guests are now."""
    host_of = {guest.id: guest.host for guest in guests}
    rack_of = {host.id: host.domain("rack") for host in hosts}
    rack_of_guest = {guest.id: rack_of[guest.host] for guest in guests}
    by_app = {app: [guest for guest in guests if guest.labels["app"] == app] for app, *_ in _APPS}
    sets = {
        "front": _one_per(by_app["web"], host_of)[:5],
        "pair": _neighbours(by_app["api"], host_of),
        "quorum": _one_per(by_app["db"], rack_of_guest)[:_RACKS],
        "licensed": by_app["ci"][:1],
    }
    rules: list[Rule] = []
    if len(sets["front"]) > 1:
        rules.append(AntiAffinity(name="web-apart", guests=_set("front")))
    if len(sets["pair"]) > 1:
        rules.append(Affinity(name="api-together", guests=_set("pair")))
    if len(sets["quorum"]) > 1:
        at_least = len(sets["quorum"])
        rules.append(Spread(name="db-over-racks", guests=_set("quorum"), domain="rack", at_least=at_least))
    if sets["licensed"]:
        rack = rack_of_guest[sets["licensed"][0].id]
        racked = tuple(host.id for host in hosts if rack_of[host.id] == rack)
        rules.append(Pin(name="licence-rack", guests=_set("licensed"), hosts=Selector(ids=racked)))
    set_of = {guest.id: name for name, members in sets.items() for guest in members}
    labelled = [
        replace(guest, labels={**guest.labels, "set": set_of[guest.id]}) if guest.id in set_of else guest
        for guest in guests
    ]
    return labelled, tuple(rules)


def _one_per(guests: Sequence[Guest], cell_of: dict[str, str]) -> list[Guest]:
    first: dict[str, Guest] = {}
    for guest in guests:
        first.setdefault(cell_of[guest.id], guest)
    return list(first.values())


def _neighbours(guests: Sequence[Guest], host_of: dict[str, str]) -> list[Guest]:
    """Return two guests that share a host, if there are any."""
    for i, guest in enumerate(guests):
        for other in guests[i + 1 :]:
            if host_of[guest.id] == host_of[other.id]:
                return [guest, other]
    return []


def _set(name: str) -> Selector:
    return Selector(labels={"set": name})


def _seed_of(seed: int, number: int) -> int:
    return int(dice(seed, number) * 2**48)


def _writes_of(guest: Guest) -> Writes:
    hot_mib = guest.dirty.hot_mib or 0.0
    rate = guest.dirty.mib_s or 0.0
    over_s = guest.dirty.over_s or 1.0
    cold = max(0.0, rate - hot_mib / over_s)
    return Writes(hot_mib=hot_mib, hot_mib_s=min(rate, hot_mib / over_s) * 3, cold_mib_s=cold)
