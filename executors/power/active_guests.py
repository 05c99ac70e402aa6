"""Whether a host's libvirt has a guest that runs, starts or arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.connections.libvirt_connection import LibvirtConnection

if TYPE_CHECKING:
    import libvirt

ACTIVE = 1  # virConnectListAllDomainsFlags: VIR_CONNECT_LIST_DOMAINS_ACTIVE
MOST_NAMED = 3


def why_not_empty(connection: LibvirtConnection) -> str | None:
    """Return a sentence that names active guests; `None`: there is none. Raises what the connection raises.

    A guest is active from the moment its QEMU is prepared: while it starts, is restored or arrives, too.
    """

    def names(connection: libvirt.virConnect) -> list[str]:
        return sorted(domain.name() for domain in connection.listAllDomains(ACTIVE))

    found = connection.call("list its active guests", names)
    if not found:
        return None
    more = ", ..." if len(found) > MOST_NAMED else ""
    return (
        f"{', '.join(found[:MOST_NAMED])}{more} is active there"
        if len(found) == 1
        else (f"{', '.join(found[:MOST_NAMED])}{more} are active there")
    )
