"""Who can go where: what a guest needs of a host against what the host offers. Pure.

A move that cannot work is never proposed; the same check runs again at the step itself.
"""

from __future__ import annotations

from cluster.guest import Guest
from cluster.host import Host


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
    return None
