"""Random hosts, guests, rules, snapshots, plans and reports for property tests: small, valid, and now and then odd.

What these make is what the formats allow: ids unique, guests on hosts there are, no rules contradicting on their face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from cluster.formats.cluster_file import snapshot_id
from cluster.guest import Compression, Dirty, Guest, LocalDisks, MigrationPolicy, Usage
from cluster.host import Host, PowerModel, PowerState, Reserved
from cluster.plan import Estimate, Figures, Migrate, NotMoved, Plan, Sleep, Status, Step, TierValue, Wake
from cluster.report import HostUsage, Observation, Report
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
from cluster.rules.contradictions import find_contradictions
from cluster.snapshot import Snapshot

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
"""When every snapshot is taken."""

_APPS = ("web", "db", "cache")
_RACKS = ("r1", "r2", "r3")
_MIB = 1024

amounts = st.floats(0, 1e6, allow_nan=False) | st.integers(0, 10**6).map(float)
ratios = st.floats(0, 1, allow_nan=False)
# A short alphabet: Hypothesis takes seconds over its table of all characters the first time on a machine.
texts = st.text(st.sampled_from("ab Z09_-./:é中😀'\"\\\n\t\0"), max_size=20)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
label_maps = st.dictionaries(texts, texts, max_size=3)


_Parts = st.SearchStrategy[dict[str, Any]]

# Made once: building a strategy takes longer than drawing from it.
_LOADS = st.sets(st.sampled_from([0.25, 0.5, 0.75, 1.0]), max_size=3).map(lambda loads: [0.0, *sorted(loads)])
_MARKS: _Parts = st.fixed_dictionaries(
    {
        "state": st.sampled_from(PowerState),
        "age_s": st.integers(0, 600),
        "reachable": st.booleans(),
        "cordoned": st.booleans(),
        "failing": st.booleans(),
    }
)
_WELL: _Parts = st.just({"state": PowerState.ON, "age_s": 0, "reachable": True, "cordoned": False, "failing": False})
_MOSTLY_WELL: _Parts = st.integers(0, 3).flatmap(lambda die: _WELL if die else _MARKS)
_POWER: _Parts = st.fixed_dictionaries(
    {
        "controllable": st.booleans(),
        "sleep_watts": st.integers(0, 20).map(float),
        "wake_s": st.integers(0, 600).map(float),
        "sleep_s": st.integers(0, 120).map(float),
    }
)
_CURVE = st.just(()) | _LOADS.map(lambda loads: tuple((load, 100.0 + 200 * load * load) for load in loads))
_HOST: _Parts = st.fixed_dictionaries(
    {
        "cpu_millicores": st.integers(4, 64).map(lambda cores: 1000 * cores),
        "memory_mib": st.integers(16, 256).map(lambda gib: _MIB * gib),
        "net_mbit_s": st.sampled_from([None, 1000.0, 25000.0]),
        "disk_mib_s": st.sampled_from([None, 500.0, 2000.0]),
        "hugepages_mib": st.none() | st.integers(0, 64 * _MIB),
        "local_disk_mib": st.none() | st.integers(0, 1024 * _MIB),
        "reserved": st.builds(Reserved, st.integers(0, 2000), st.integers(0, 8 * _MIB)),
        "migration_mbit_s": st.sampled_from([None, 1000.0, 10000.0]),
        "domains": st.sampled_from([{}, *({"rack": rack} for rack in _RACKS)]),
        "labels": st.sampled_from([{}, {"generation": "5"}, {"generation": "7"}]),
        "cpu_models": st.sampled_from([None, ("x86-64-v2", "x86-64-v3")]),
        "machines": st.sampled_from([None, ("pc-q35-7.2",)]),
        "storage": st.sampled_from([None, ("ceph",)]),
        "networks": st.sampled_from([None, ("prod", "test")]),
    }
)
_GUEST: _Parts = st.fixed_dictionaries(
    {
        "vcpus": st.integers(1, 8),
        "memory_mib": st.integers(1, 32).map(lambda gib: _MIB * gib),
        "overhead_mib": st.sampled_from([0, 256]),
        "usage": st.builds(
            Usage,
            cpu_millicores=st.integers(0, 8000),
            memory_mib=st.none() | st.integers(0, 32 * _MIB),
            net_mbit_s=st.none() | st.integers(0, 1000).map(float),
            disk_mib_s=st.none() | st.integers(0, 200).map(float),
        ),
        "dirty": st.just(Dirty())
        | st.builds(Dirty, mib_s=amounts, over_s=st.sampled_from([1.0, 0.5]), hot_mib=amounts),
        "local_disk_mib": st.just(0) | st.integers(0, 100 * _MIB),
        "hugepages_mib": st.just(0) | st.integers(0, _MIB),
        "cpu_model": st.sampled_from([None, "x86-64-v2"]),
        "machine": st.sampled_from([None, "pc-q35-7.2"]),
        "storage": st.sampled_from([(), ("ceph",)]),
        "networks": st.sampled_from([(), ("prod",)]),
        "priority": st.integers(-5, 5),
        "migration": st.builds(
            MigrationPolicy,
            max_downtime_ms=st.integers(1, 5000),
            allow_postcopy=st.booleans(),
            latency_sensitive=st.booleans(),
            auto_converge=st.sampled_from([None, False, True]),
            compression=st.sampled_from([None, *Compression]),
            parallel_connections=st.none() | st.integers(1, 64),
            local_disks=st.sampled_from([None, *LocalDisks]),
        ),
    }
)
_APP: st.SearchStrategy[dict[str, str]] = st.sampled_from([{}, *({"app": app} for app in _APPS)])
_ODD_LABELS: st.SearchStrategy[dict[str, str]] = st.just({}) | label_maps
_WHY_NOT = st.sampled_from([None, None, None, None, "a device is passed through"])


@st.composite
def hosts(draw: st.DrawFn, host_id: str = "kvm-0", healthy: bool = False) -> Host:
    """A host of 4 to 64 cores and 16 to 256 GiB; a `healthy` one is measured now, reachable, on, neither marked."""
    marks = draw(_WELL if healthy else _MOSTLY_WELL)
    return Host(
        id=host_id,
        reachable=marks["reachable"],
        measured_at=NOW - timedelta(seconds=marks["age_s"]) if draw(st.booleans()) else None,
        power=PowerModel(state=marks["state"], watts=draw(_CURVE), **draw(_POWER)),
        cordoned=marks["cordoned"],
        failing=marks["failing"],
        **draw(_HOST),
    )


@st.composite
def guests(draw: st.DrawFn, guest_id: str = "g-0", host_ids: Sequence[str] = ("kvm-0",)) -> Guest:
    """A guest of 1 to 8 virtual CPUs and 1 to 32 GiB on one of the hosts, its CPU use known."""
    why_not = draw(_WHY_NOT)
    return Guest(
        id=guest_id,
        name=draw(texts),
        host=draw(st.sampled_from(host_ids)),
        movable=why_not is None,
        why_not=why_not,
        labels=draw(_ODD_LABELS) | draw(_APP),
        **draw(_GUEST),
    )


def _guest_selectors(guest_ids: Sequence[str]) -> st.SearchStrategy[Selector]:
    by_label = st.sampled_from(_APPS).map(lambda app: Selector(labels={"app": app}))
    some = st.lists(st.sampled_from([*guest_ids, "gone"]), min_size=1, max_size=4, unique=True)
    return by_label | some.map(lambda ids: Selector(ids=tuple(ids)))


def _host_selectors(host_ids: Sequence[str]) -> st.SearchStrategy[Selector]:
    some = st.lists(st.sampled_from(host_ids), min_size=1, max_size=3, unique=True)
    return some.map(lambda ids: Selector(ids=tuple(ids))) | st.just(Selector(labels={"generation": "7"}))


@st.composite
def rules(draw: st.DrawFn, name: str, host_ids: Sequence[str], guest_ids: Sequence[str]) -> Rule:
    """A rule of any kind over these hosts and guests."""
    selected = draw(_guest_selectors(guest_ids))
    domain = draw(st.sampled_from(["host", "rack"]))
    enforcement = draw(st.sampled_from(Enforcement))
    weight = draw(st.sampled_from([0.5, 1.0, 3.0])) if enforcement is Enforcement.SOFT else 1.0
    match draw(st.integers(0, 7)):
        case 0:
            return AntiAffinity(name=name, guests=selected, domain=domain, enforcement=enforcement, weight=weight)
        case 1:
            return Affinity(name=name, guests=selected, domain=domain, enforcement=enforcement, weight=weight)
        case 2:
            least = draw(st.integers(1, 3))
            return Spread(
                name=name, guests=selected, domain=domain, at_least=least, enforcement=enforcement, weight=weight
            )
        case 3:
            where = draw(_host_selectors(host_ids))
            return Pin(name=name, guests=selected, hosts=where, enforcement=enforcement, weight=weight)
        case 4:
            where = draw(_host_selectors(host_ids))
            return Forbid(name=name, guests=selected, hosts=where, enforcement=enforcement, weight=weight)
        case 5:
            to = draw(_guest_selectors(guest_ids))
            return Near(name=name, guests=selected, to=to, domain=domain, enforcement=enforcement, weight=weight)
        case 6:
            return GroupMoveLimit(name=name, guests=selected, at_most=draw(st.integers(0, 3)))
        case _:
            return Ignore(name=name, guests=selected)


@st.composite
def snapshots(
    draw: st.DrawFn,
    max_hosts: int = 5,
    max_guests: int = 10,
    *,
    min_hosts: int = 1,
    max_rules: int = 4,
    healthy: bool = False,
) -> Snapshot:
    """A cluster at `NOW`. Every host is `healthy`, or most are; guests may overload hosts and break rules."""
    host_ids = [f"kvm-{number}" for number in range(draw(st.integers(min_hosts, max_hosts)))]
    guest_ids = [f"g-{number}" for number in range(draw(st.integers(0, max_guests)))]
    some_hosts = tuple(draw(hosts(host_id, healthy)) for host_id in host_ids)
    some_guests = tuple(draw(guests(guest_id, host_ids)) for guest_id in guest_ids)
    wanted = [
        draw(rules(f"rule {number}", host_ids, guest_ids or ["gone"]))
        for number in range(draw(st.integers(0, max_rules)))
    ]
    kept = tuple(_without_contradictions(some_hosts, some_guests, wanted))
    snapshot = Snapshot("", NOW, some_hosts, some_guests, kept)
    silent = {host.id for host in some_hosts if not host.reachable or snapshot.is_stale(host)}
    forgotten = draw(st.booleans())
    snapshot = replace(
        snapshot,
        guests=tuple(
            replace(guest, usage=replace(guest.usage, cpu_millicores=None))
            if forgotten and guest.host in silent
            else guest
            for guest in some_guests
        ),
    )
    return replace(snapshot, id=snapshot_id(snapshot))


def _without_contradictions(some_hosts: Sequence[Host], some_guests: Sequence[Guest], wanted: list[Rule]) -> list[Rule]:
    while found := find_contradictions(some_hosts, some_guests, wanted):
        wanted = [rule for rule in wanted if rule is not found[0].second]
    return wanted


figures = st.builds(
    Figures,
    hosts_on=st.integers(0, 100),
    watts=amounts,
    cpu_max=amounts,
    cpu_stdev=amounts,
    memory_max=amounts,
    memory_stdev=amounts,
    broken_rules=st.integers(0, 100),
)
estimates = st.builds(
    Estimate,
    mib=st.integers(0, 10**6),
    seconds=amounts,
    downtime_ms=st.integers(0, 10**4),
    converges=ratios,
    mbit_s=st.integers(0, 10**5),
    note=texts,
)


@st.composite
def plans(draw: st.DrawFn, max_steps: int = 6) -> Plan:
    """A plan whose steps wait only for earlier ones; some guests are parked on the way."""
    steps: list[Step] = []
    for number in range(draw(st.integers(0, max_steps))):
        step_id, reason = f"s{number}", draw(texts)
        after = tuple(step.id for step in steps if draw(st.booleans()))
        match draw(st.integers(0, 3)):
            case 0:
                steps.append(Sleep(step_id, f"kvm-{number}", reason, draw(amounts), after))
            case 1:
                steps.append(Wake(step_id, f"kvm-{number}", reason, after))
            case 2:
                stop = Migrate(
                    f"{step_id}p", f"g-{number}", "a", "b", reason, draw(estimates), after=after, parking=True
                )
                end = Migrate(step_id, f"g-{number}", "b", "c", reason, draw(estimates), after=(*after, stop.id))
                steps += [stop, end]
            case _:
                share = draw(st.floats(-1, 1))
                steps.append(
                    Migrate(step_id, f"g-{number}", "a", "b", reason, draw(estimates), draw(texts), after, False, share)
                )
    made_at = draw(moments)
    return Plan(
        id=draw(st.uuids().map(str)),
        snapshot="0123456789abcdef",
        policy=draw(st.sampled_from(["repair", "balance", "consolidate", "drain"])),
        level=draw(st.integers(1, 5)),
        seed=draw(st.integers(0, 2**31)),
        made_at=made_at,
        expires_at=made_at + timedelta(seconds=draw(st.integers(0, 3600))),
        status=draw(st.sampled_from([Status.OPTIMAL, Status.FEASIBLE] if steps else list(Status))),
        why=draw(texts),
        goals=(TierValue("repair", *(draw(amounts) for _ in range(4))),) if draw(st.booleans()) else (),
        gap=draw(ratios),
        steps=tuple(steps),
        before=draw(figures),
        after=draw(figures),
        blamed=tuple(draw(st.lists(texts, max_size=2))),
        not_moved=tuple(draw(st.lists(st.builds(NotMoved, st.just("g-9"), st.just("ignored"), texts), max_size=2))),
        makespan_s=draw(amounts),
        makespan_bound_s=draw(amounts),
        moved_mib=draw(st.integers(0, 10**6)),
        solve_s=draw(amounts),
    )


@st.composite
def reports(draw: st.DrawFn, host_id: str = "kvm-0", max_guests: int = 4) -> Report:
    """A report of one host; the CPU use of its guests may be unknown."""
    some = [draw(guests(f"g-{number}", [host_id])) for number in range(draw(st.integers(0, max_guests)))]
    unknown = draw(st.sets(st.sampled_from([guest.id for guest in some]))) if some else set()
    return Report(
        boot_id=draw(st.uuids().map(str)),
        agent_start=draw(moments),
        sequence=draw(st.integers(0, 2**40)),
        observation=Observation(
            taken_at=draw(moments),
            host=draw(hosts(host_id)),
            usage=draw(
                st.builds(
                    HostUsage,
                    cpu_millicores=st.none() | st.integers(0, 10**6),
                    memory_available_mib=st.none() | st.integers(0, 10**6),
                    load_1min=st.none() | amounts,
                    io_pressure_ratio=st.none() | ratios,
                )
            ),
            guests=tuple(
                replace(guest, usage=replace(guest.usage, cpu_millicores=None)) if guest.id in unknown else guest
                for guest in some
            ),
            inactive=tuple(draw(st.lists(st.uuids().map(str), max_size=2))),
            warnings=tuple(draw(st.lists(texts, max_size=2))),
        ),
    )
