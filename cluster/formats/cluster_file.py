"""The cluster file, `trimtab.cluster/1`: a whole cluster at one moment, read strictly and written whole.

Defaults for absent keys are those of the dataclasses of `cluster/`, which follow the contract's table. Beyond the
contract a host may carry `hugepages_mib` and `local_disk_mib` (see docs/decisions/0001), its `libvirt_version`,
`qemu_version` and `migration_tls`, and a guest's `migration` its own ways to move (see docs/migrations.md).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from cluster.errors import InputError
from cluster.formats.extras import PREFIX, put_extras, read_extras
from cluster.formats.reader import Value, parse_json, read_file
from cluster.formats.rules_file import RULES, read_rules
from cluster.formats.values import (
    AMOUNT,
    BOOLEAN,
    ID,
    IDS,
    MOMENT,
    RATIO,
    TEXT,
    TEXTS_BY_KEY,
    WHOLE,
    Json,
    Plain,
    Record,
    choice,
    compact_text,
    document_text,
    nullable,
    number,
    unique,
    whole,
)
from cluster.guest import Compression, Dirty, Guest, LocalDisks, MigrationPolicy, Usage
from cluster.host import Host, PowerModel, PowerState, Reserved
from cluster.rules.contradictions import find_contradictions
from cluster.snapshot import DEFAULT_STALE_S, Snapshot

SCHEMA = "trimtab.cluster/1"
NO_REASON = "its file gives no reason"
"""`why_not` of a guest that is not movable and says no more."""

_KEYS = ("schema", "taken_at", "hosts", "guests", "rules")


def _read_curve(value: Value) -> tuple[tuple[float, float], ...]:
    points: list[tuple[float, float]] = []
    for item in value.items("a list of [CPU load, watts]"):
        pair = item.items("a pair [CPU load, watts]")
        if len(pair) != 2:
            raise item.refusal("a pair [CPU load, watts]")
        load, watts = RATIO.read(pair[0]), AMOUNT.read(pair[1])
        if not points and load != 0:
            raise pair[0].refusal("0 as the first load of the curve")
        if points and load <= points[-1][0]:
            raise pair[0].refusal(f"a load above the one before ({points[-1][0]:g})")
        if points and watts < points[-1][1]:
            raise pair[1].refusal(f"no fewer watts than at the load before ({points[-1][1]:g})")
        points.append((load, watts))
    return tuple(points)


def _read_domains(value: Value) -> dict[str, str]:
    domains = {key: ID.read(one) for key, one in value.entries("an object of texts")}
    if "host" in domains:
        raise value.at("host").refusal('any other key ("host" is each host itself)')
    return domains


def _check_host(value: Value, host: Host) -> None:
    for key in ("cpu_millicores", "memory_mib"):
        reserved, capacity = getattr(host.reserved, key), getattr(host, key)
        if reserved and reserved >= capacity:
            raise value.at("reserved").at(key).refusal(f"less than the host's {key} ({capacity})")


def _check_guest(value: Value, guest: Guest) -> None:
    if guest.movable and guest.why_not is not None:
        raise value.at("why_not").refusal("null while movable is true, or movable false")


POWER = Record(
    PowerModel,
    {
        "state": choice(PowerState),
        "controllable": BOOLEAN,
        "watts": Plain(_read_curve, lambda curve: [[AMOUNT.write(one) for one in point] for point in curve]),
        "sleep_watts": AMOUNT,
        "wake_s": AMOUNT,
        "sleep_s": AMOUNT,
    },
)
DOMAINS: Plain[dict[str, str]] = Plain(_read_domains, dict)

HOST = Record(
    Host,
    {
        "id": ID,
        "cpu_millicores": WHOLE,
        "memory_mib": WHOLE,
        "net_mbit_s": nullable(AMOUNT),
        "disk_mib_s": nullable(AMOUNT),
        "hugepages_mib": nullable(WHOLE),
        "local_disk_mib": nullable(WHOLE),
        "reserved": Record(Reserved, {"cpu_millicores": WHOLE, "memory_mib": WHOLE}),
        "migration_mbit_s": nullable(number(above=True)),
        "reachable": BOOLEAN,
        "measured_at": nullable(MOMENT),
        "domains": DOMAINS,
        "labels": TEXTS_BY_KEY,
        "cpu_models": nullable(IDS),
        "machines": nullable(IDS),
        "storage": nullable(IDS),
        "networks": nullable(IDS),
        "offers": IDS,
        "power": POWER,
        "cordoned": BOOLEAN,
        "failing": BOOLEAN,
        "libvirt_version": nullable(TEXT),
        "qemu_version": nullable(TEXT),
        "migration_tls": nullable(BOOLEAN),
    },
    check=_check_host,
)

GUEST = Record(
    Guest,
    {
        "id": ID,
        "name": TEXT,
        "host": ID,
        "vcpus": whole(1),
        "memory_mib": whole(1),
        "overhead_mib": WHOLE,
        "usage": Record(
            Usage,
            {
                "cpu_millicores": nullable(WHOLE),
                "memory_mib": nullable(WHOLE),
                "net_mbit_s": nullable(AMOUNT),
                "disk_mib_s": nullable(AMOUNT),
            },
        ),
        "dirty": Record(
            Dirty, {"mib_s": nullable(AMOUNT), "over_s": nullable(number(above=True)), "hot_mib": nullable(AMOUNT)}
        ),
        "local_disk_mib": WHOLE,
        "local_disks": IDS,
        "hugepages_mib": WHOLE,
        "cpu_model": nullable(ID),
        "machine": nullable(ID),
        "storage": IDS,
        "networks": IDS,
        "needs": IDS,
        "movable": BOOLEAN,
        "why_not": nullable(TEXT),
        "priority": whole(-(2**31), 2**31),
        "labels": TEXTS_BY_KEY,
        "migration": Record(
            MigrationPolicy,
            {
                "max_downtime_ms": whole(1),
                "allow_postcopy": BOOLEAN,
                "latency_sensitive": BOOLEAN,
                "must_encrypt": BOOLEAN,
                "auto_converge": nullable(BOOLEAN),
                "compression": nullable(choice(Compression)),
                "parallel_connections": nullable(whole(1, 64)),
                "local_disks": nullable(choice(LocalDisks)),
            },
        ),
    },
    check=_check_guest,
)


def read_host(value: Value) -> Host:
    """Read one host. `InputError` for anything the contract does not allow."""
    return HOST.read(value)


def host_to_json(host: Host) -> Json:
    """Write one host."""
    return HOST.write(host)


def read_guest(value: Value) -> Guest:
    """Read one guest by itself; that its host exists and explains an unknown CPU use is the cluster file's to check."""
    guest = GUEST.read(value)
    if not guest.movable and guest.why_not is None:
        return replace(guest, why_not=NO_REASON)
    return guest


def guest_to_json(guest: Guest) -> Json:
    """Write one guest."""
    return GUEST.write(guest)


def read_cluster(text: str, name: str, stale_s: float = DEFAULT_STALE_S) -> Snapshot:
    """Read a cluster file's text; `name` is the file's in messages. `InputError` for anything wrong; all or nothing."""
    value = parse_json(text, name)
    value.schema(SCHEMA)
    value.only_keys(_KEYS)
    taken_at = MOMENT.read(value.at("taken_at"))
    hosts = tuple(read_host(one) for one in value.at("hosts").items("a list of hosts"))
    unique(value.at("hosts"), "host id", [host.id for host in hosts])
    guests = tuple(read_guest(one) for one in value.at("guests").items("a list of guests"))
    unique(value.at("guests"), "guest id", [guest.id for guest in guests])
    rules = () if value.at("rules").is_missing else read_rules(value.at("rules"))
    # Where no key can begin with x_, as it stands or escaped, none is looked for.
    extras = read_extras(value) if f'"{PREFIX}' in text or "\\u" in text else {}
    snapshot = Snapshot("", taken_at, hosts, guests, rules, stale_s, extras)
    snapshot = replace(snapshot, id=snapshot_id(snapshot))
    for guest, item in zip(guests, value.at("guests").items(), strict=True):
        _check_on_host(snapshot, guest, item)
    for one in find_contradictions(hosts, guests, rules):
        raise InputError(f"{name}: rules: found {one.text}; allowed: rules that can hold together")
    return snapshot


def _check_on_host(snapshot: Snapshot, guest: Guest, item: Value) -> None:
    host = snapshot.host_by_id.get(guest.host)
    if host is None:
        raise item.at("host").refusal("the id of a host of this file", choices=snapshot.host_by_id)
    if guest.usage.cpu_millicores is None and host.reachable and not snapshot.is_stale(host):
        raise (
            item.at("usage")
            .at("cpu_millicores")
            .refusal(f"a whole number (null only while the guest's host, here {host.id}, is unreachable or stale)")
        )


def load_cluster(path: Path, stale_s: float = DEFAULT_STALE_S) -> Snapshot:
    """Read a cluster file. `InputError` when it cannot be read or is wrong."""
    return read_cluster(read_file(path), str(path), stale_s)


def cluster_to_json(snapshot: Snapshot) -> Json:
    """Write a snapshot as the document of a cluster file; `stale_s` and the id are not part of it."""
    return put_extras(_document(snapshot), snapshot.extra)


def write_cluster(snapshot: Snapshot) -> str:
    """Write a snapshot as a cluster file's text, which reads back equal."""
    return document_text(cluster_to_json(snapshot))


def snapshot_id(snapshot: Snapshot) -> str:
    """Return the name of a snapshot's content: 16 hex digits of SHA-256 over its cluster file without `x_` keys."""
    return hashlib.sha256(compact_text(_document(snapshot)).encode()).hexdigest()[:16]


def _document(snapshot: Snapshot) -> Json:
    return {
        "schema": SCHEMA,
        "taken_at": MOMENT.write(snapshot.taken_at),
        "hosts": [host_to_json(host) for host in snapshot.hosts],
        "guests": [guest_to_json(guest) for guest in snapshot.guests],
        "rules": RULES.write(snapshot.rules),
    }
