"""Whether a guest's migration is to be encrypted, and where that cannot be had. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cluster.config.settings import Encryption
from cluster.guest import Guest
from cluster.host import Host
from cluster.migration.compatibility import why_cannot_run
from cluster.snapshot import Snapshot

CODE = "no_tls"
"""Code of a guest that stays because its migration could not be encrypted."""


def under_policy(snapshot: Snapshot, encryption: Encryption) -> Snapshot:
    """Return the snapshot with what the cluster's policy demands laid over each guest's own."""
    if encryption is not Encryption.REQUIRED:
        return snapshot
    guests = (replace(one, migration=replace(one.migration, must_encrypt=True)) for one in snapshot.guests)
    return replace(snapshot, guests=tuple(guests))


def why_stays(guest: Guest, host: Host) -> tuple[str, str] | None:
    """Say why a guest cannot leave its host, as (code, sentence); `None`: encryption does not keep it."""
    if not guest.migration.must_encrypt or host.migration_tls is not False:
        return None
    return CODE, f"{guest.title} stays on {host.id}: {sentence((host.id,))}"


def why_no_target(guest: Guest, hosts: Iterable[Host]) -> str | None:
    """Say that hosts would take a guest but for encryption; `None` when none would, or one does."""
    free = replace(guest, migration=replace(guest.migration, must_encrypt=False))
    would = sorted(host.id for host in hosts if host.id != guest.host and why_cannot_run(free, host) is None)
    return sentence(would) if guest.migration.must_encrypt and would else None


def in_the_clear(hosts: Iterable[Host]) -> tuple[str, ...]:
    """Return the hosts that are known to have no TLS for migrations, sorted."""
    return tuple(sorted(host.id for host in hosts if host.migration_tls is False))


def sentence(hosts: Iterable[str]) -> str:
    """Say that a move has to be encrypted and that these hosts cannot."""
    named = list(hosts)
    shown = ", ".join(named[:5]) + (", ..." if len(named) > 5 else "")
    return f"its migration has to be encrypted, and no TLS is set up for that on {shown}: see trimtab certs"
