"""Ways to move a guest, and which of them libvirt and QEMU can combine, by version. Pure.

A way is one capability of a migration: encryption, post-copy, parallel connections, a compression, throttling. All of
them are chosen before the start, since QEMU takes no new one in mid-migration. Versions are libvirt's numbers
(major x 1,000,000 + minor x 1,000 + release), of libvirt and of QEMU alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from cluster.config.settings import Encryption, MigrationSettings
from cluster.guest import Compression, LocalDisks, MigrationPolicy


class Way(StrEnum):
    """One capability of a migration. `tunnelled` stands in the table only: Trimtab does not use it."""

    TLS = "tls"
    POSTCOPY = "postcopy"
    PARALLEL = "parallel"
    XBZRLE = "xbzrle"
    ZSTD = "zstd"
    AUTO_CONVERGE = "auto_converge"
    TUNNELLED = "tunnelled"
    LOCAL_DISKS = "local_disks"


@dataclass(frozen=True, slots=True)
class Since:
    """The first libvirt and QEMU that have a way."""

    libvirt: int
    qemu: int


@dataclass(frozen=True, slots=True)
class Apart:
    """Two ways that do not go together before these versions of libvirt and QEMU. `None`: in no version known."""

    ways: frozenset[Way]
    why: str
    until_qemu: int | None = None


def number(major: int, minor: int, release: int = 0) -> int:
    """Return a version as libvirt counts."""
    return major * 1_000_000 + minor * 1_000 + release


def read_version(text: str | None) -> int | None:
    """Return a version's number from "7.2.22", or `None` when it is not known."""
    parts = (text or "").split(".")
    if not all(part.isdecimal() for part in parts):
        return None
    return number(*(int(part) for part in (*parts, "0", "0")[:3]))


def show_version(version: int) -> str:
    """Return a version as people write it."""
    return f"{version // 1_000_000}.{version // 1_000 % 1_000}.{version % 1_000}"


# libvirt: "Since" notes of libvirt-domain.h (VIR_MIGRATE_*, VIR_MIGRATE_PARAM_*). QEMU: "Since" notes of
# qapi/migration.json (MigrationCapability, MigrationParameters, MultiFDCompression).
SINCE: Mapping[Way, Since] = MappingProxyType(
    {
        Way.TLS: Since(number(3, 2), number(2, 7)),
        Way.POSTCOPY: Since(number(1, 3, 3), number(2, 6)),
        Way.PARALLEL: Since(number(5, 2), number(4, 0)),
        Way.XBZRLE: Since(number(1, 3, 4), number(1, 2)),
        Way.ZSTD: Since(number(9, 4), number(5, 0)),
        Way.AUTO_CONVERGE: Since(number(2, 0), number(2, 5)),
        Way.TUNNELLED: Since(number(0, 7, 2), number(0, 12)),
        Way.LOCAL_DISKS: Since(number(1, 0, 3), number(1, 3)),
    }
)

# QEMU: migrate_caps_check of migration/options.c. libvirt: qemuMigrationSrcBeginPhase of qemu_migration.c, and
# qemuMigrationParamsSetCompression and qemuMigrationParamsFromFlags of qemu_migration_params.c.
APART: tuple[Apart, ...] = (
    # Refused in words from 8.0 on; 7.2 lets it begin and loses pages at the switch.
    Apart(frozenset({Way.POSTCOPY, Way.PARALLEL}), "post-copy goes with one connection only", number(10, 1)),
    Apart(frozenset({Way.XBZRLE, Way.PARALLEL}), "xbzrle goes with one connection only"),
    Apart(frozenset({Way.XBZRLE, Way.ZSTD}), "one compression at a time"),
    Apart(frozenset({Way.TLS, Way.PARALLEL}), "parallel connections cannot be encrypted", number(5, 2)),
    Apart(frozenset({Way.TUNNELLED, Way.POSTCOPY}), "libvirt's tunnel has no way back for post-copy"),
    Apart(frozenset({Way.TUNNELLED, Way.PARALLEL}), "libvirt's tunnel is one connection"),
    Apart(frozenset({Way.TUNNELLED, Way.TLS}), "libvirt's tunnel is encrypted by its own connection"),
    Apart(frozenset({Way.TUNNELLED, Way.LOCAL_DISKS}), "libvirt's tunnel carries no disks"),
    # qemuMigrationSrcBeginPhase: once the guest goes on at the target its disks would have to be there in full.
    Apart(frozenset({Way.POSTCOPY, Way.LOCAL_DISKS}), "post-copy goes without copies of local disks only"),
)


@dataclass(frozen=True, slots=True)
class End:
    """What is known of one end of a migration.

    Without a version it has every way, but none of the combinations that came late.
    """

    host: str
    libvirt: int | None = None
    qemu: int | None = None
    tls: bool | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A way that policy asked for and that is not used, and why."""

    way: Way
    why: str


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways a migration uses, how many connections carry it, and what was asked for and left out.

    `refusal`: why it must not begin at all (empty: it may).
    """

    used: frozenset[Way] = frozenset()
    connections: int = 1
    left_out: tuple[LeftOut, ...] = ()
    refusal: str = ""


def why_not_at(way: Way, end: End) -> str | None:
    """Say why a host does not have a way, or `None` when it has, as far as is known."""
    since = SINCE[way]
    if end.libvirt is not None and end.libvirt < since.libvirt:
        return f"needs libvirt {show_version(since.libvirt)}, host {end.host} has {show_version(end.libvirt)}"
    if end.qemu is not None and end.qemu < since.qemu:
        return f"needs QEMU {show_version(since.qemu)}, host {end.host} has {show_version(end.qemu)}"
    if way is Way.TLS and end.tls is not True:
        known = "no TLS is set up" if end.tls is False else "whether TLS is set up is not known"
        return f"{known} for migrations on host {end.host}"
    return None


def why_not_together(one: Way, other: Way, *ends: End) -> str | None:
    """Say why two ways do not go together between these hosts, or `None` when they do."""
    for apart in APART:
        if {one, other} == apart.ways:
            if apart.until_qemu is None:
                return apart.why
            old = next((end for end in ends if end.qemu is None or end.qemu < apart.until_qemu), None)
            if old is not None:
                return f"{apart.why} before QEMU {show_version(apart.until_qemu)} (host {old.host})"
    return None


def choose_ways(
    policy: MigrationPolicy,
    settings: MigrationSettings,
    source: End,
    target: End,
    *,
    again: bool = False,
    local_disks: bool = False,
) -> Ways:
    """Choose the ways of a migration: what guest and cluster ask for, as far as both ends have it and it goes together.

    Encryption comes first, then post-copy, then what makes a migration quick. `again`: the second try of one that did
    not converge, which throttles the guest and packs what it rewrites, and so goes over one connection unless that is
    all that was asked for. `local_disks`: some have to be copied, so that nothing that forbids it is used. TLS that is
    not known of counts only where encryption is demanded: QEMU then refuses itself.
    """
    wanted, connections = _wanted(policy, settings, again)
    demanded = policy.must_encrypt or settings.encryption is Encryption.REQUIRED
    used: list[Way] = []
    left_out: list[LeftOut] = []
    if local_disks:
        if (policy.local_disks or settings.local_disks) is not LocalDisks.COPY:
            return Ways(refusal="it has local disks, and policy does not let them be copied: see migration.local_disks")
        if (
            why := next((no for end in (source, target) if (no := why_not_at(Way.LOCAL_DISKS, end))), None)
        ) is not None:
            return Ways(refusal=f"its local disks cannot be copied: {why}")
        used.append(Way.LOCAL_DISKS)
    for way in wanted:
        ends = (source, target)
        if way is Way.TLS and demanded:
            if (why := next((no for end in ends if (no := _why_no_tls(end)) is not None), None)) is not None:
                return Ways(refusal=f"it has to be encrypted, and {why}: see trimtab certs")
            used.append(way)
            continue
        why = next((no for end in ends if (no := why_not_at(way, end)) is not None), None)
        why = why or next((no for one in used if (no := why_not_together(way, one, *ends)) is not None), None)
        if way is Way.ZSTD and why is None and Way.PARALLEL not in used:
            why = "zstd needs parallel connections"
        if why is None:
            used.append(way)
        else:
            left_out.append(LeftOut(way, why))
    return Ways(frozenset(used), connections if Way.PARALLEL in used else 1, tuple(left_out))


def _wanted(policy: MigrationPolicy, settings: MigrationSettings, again: bool) -> tuple[list[Way], int]:
    """List the ways asked for, the most important first, and the number of connections."""
    compression = policy.compression or settings.compression
    connections = policy.parallel_connections or settings.parallel_connections
    throttles = settings.auto_converge if policy.auto_converge is None else policy.auto_converge
    wanted: list[Way] = []
    if policy.must_encrypt or settings.encryption is not Encryption.OFF:
        wanted.append(Way.TLS)
    if policy.allow_postcopy and settings.postcopy and not policy.latency_sensitive:
        wanted.append(Way.POSTCOPY)
    if again and throttles and not policy.latency_sensitive:
        wanted.append(Way.AUTO_CONVERGE)
    if again and compression is not Compression.ZSTD:
        return [*wanted, Way.XBZRLE], 1
    if compression is Compression.ZSTD:
        connections = max(2, connections)
    if connections > 1:
        wanted.append(Way.PARALLEL)
    if compression is not Compression.NONE:
        wanted.append(Way(compression.value))
    return wanted, connections


def _why_no_tls(end: End) -> str | None:
    """Say why demanded encryption cannot be had here. Where TLS is not known of, QEMU itself refuses without it."""
    return why_not_at(Way.TLS, End(end.host, end.libvirt, end.qemu, True if end.tls is None else end.tls))


def downtime_steps_ms(limit_ms: int, steps: int) -> tuple[int, ...]:
    """Return the allowed downtimes of a migration in the order they are tried: doubling, the last one the limit."""
    return tuple(sorted({max(1, limit_ms >> (steps - 1 - step)) for step in range(steps)}))
