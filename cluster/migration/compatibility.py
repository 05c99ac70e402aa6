"""Who can go where: what a guest needs of a host against what the host offers. Pure.

A move that cannot work is never proposed; the same check runs again at the step itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cluster.guest import Guest
from cluster.host import Host

CPU_FEATURE, FIRMWARE, TPM, CPUS, NUMA_NODES = "cpu_feature", "firmware", "tpm", "cpus", "numa_nodes"
POOL = "pool"
"""Kinds of `needs` and `offers`, written "KIND:WHAT"."""
COUNTED = (CPUS, NUMA_NODES)
"""Of these WHAT is a number: one more than the highest that the host has, or that the guest is pinned to."""

_LACKS: Mapping[str, str] = {
    CPU_FEATURE: "has no CPU feature {}",
    FIRMWARE: "has no firmware {}",
    TPM: "has no TPM of kind {}",
    CPUS: "has no CPU {}, to which the guest is pinned",
    POOL: "has no storage pool at {}, to which the guest's disk could be copied",
    NUMA_NODES: "has no NUMA node {}, to which the guest is pinned",
}


def need(kind: str, what: str | int) -> str:
    """Return a need or an offer as it stands in `needs` and `offers`."""
    return f"{kind}:{what}"


def why_cannot_run(guest: Guest, host: Host) -> str | None:
    """Say why a host cannot run a guest, or `None` when it can. Unknown offers count as "reaches everything"."""
    if guest.cpu_model and host.cpu_models is not None and guest.cpu_model not in host.cpu_models:
        return f"host {host.id} has no CPU model {guest.cpu_model}"
    if guest.machine and host.machines is not None and guest.machine not in host.machines:
        return f"host {host.id} has no machine type {guest.machine}"
    if host.storage is not None and (missing := sorted(set(guest.storage) - set(host.storage))):
        return f"host {host.id} does not reach storage {missing[0]}"
    if host.networks is not None and (missing := sorted(set(guest.networks) - set(host.networks))):
        return f"host {host.id} does not reach network {missing[0]}"
    if guest.migration.must_encrypt and host.migration_tls is False:
        return f"host {host.id} has no TLS set up for migrations, and its migration has to be encrypted"
    if guest.needs and host.offers and (lacking := unmet(guest.needs, host.offers)):
        kind, _, what = lacking[0].partition(":")
        last = str(int(what) - 1) if kind in COUNTED and what.isdigit() else what
        return f"host {host.id} {_LACKS.get(kind, 'does not offer ' + kind + ' {}').format(last)}"
    return None


def unmet(needs: Iterable[str], offers: Iterable[str]) -> tuple[str, ...]:
    """Return the needs that a host does not meet, sorted. Of a kind that no offer is of, the host says nothing.

    Pools are the exception: a host that has none has none to offer.
    """
    offered: dict[str, set[str]] = {}
    for offer in offers:
        kind, _, what = offer.partition(":")
        offered.setdefault(kind, set()).add(what)
    return tuple(one for one in sorted(needs) if not _is_met(one, offered))


def _is_met(one: str, offered: Mapping[str, set[str]]) -> bool:
    kind, _, what = one.partition(":")
    if kind not in offered:
        return kind != POOL
    if kind in COUNTED and what.isdigit():
        return int(what) <= max((int(most) for most in offered[kind] if most.isdigit()), default=0)
    return what in offered[kind]
