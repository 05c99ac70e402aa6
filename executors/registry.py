"""The ways to carry out migrations, by name: one line each. Modules are loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cluster.clock import Clock
from cluster.config.settings import MigrationSettings
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.errors import InputError
from executors.protocol import MigrationExecutor


@dataclass(frozen=True, slots=True)
class Means:
    """What an executor may be made of. `addresses`: hosts' own addresses for migration traffic, by host id.

    `tls`: whether a host's migrations can be encrypted (`None`: not known).
    """

    clock: Clock
    settings: MigrationSettings = MigrationSettings()
    connections: Mapping[str, LibvirtConnection] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    tls: Callable[[str], bool | None] = lambda _host: None


def migration_executor(name: str, means: Means) -> MigrationExecutor:
    """Make the executor of this name. `InputError` for an unknown one."""
    make = MIGRATION_EXECUTORS.get(name)
    if make is None:
        raise InputError(f"executor {name!r} is unknown; allowed: {', '.join(sorted(MIGRATION_EXECUTORS))}")
    return make(means)


def _libvirt(means: Means) -> MigrationExecutor:
    from executors.libvirt_migration import LibvirtMigrationExecutor

    return LibvirtMigrationExecutor(means.connections, means.addresses, means.settings, means.clock, means.tls)


def _dry_run(means: Means) -> MigrationExecutor:
    from executors.dry_run import DryRunMigrationExecutor

    return DryRunMigrationExecutor(means.clock)


MIGRATION_EXECUTORS: Mapping[str, Callable[[Means], MigrationExecutor]] = {
    "dry-run": _dry_run,
    "libvirt": _libvirt,
}
