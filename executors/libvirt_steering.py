"""A running migration as its source's libvirt shows it, pass by pass, and what can be changed of it there.

Every function is given an open connection and runs inside `LibvirtConnection.call`, which turns libvirt's errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from executors.ladder import Passes

if TYPE_CHECKING:
    import libvirt

MIB = 1 << 20


def passes_of(statistics: Mapping[str, object]) -> Passes | None:
    """Read a job's statistics. `None` while they say nothing of memory yet."""
    number = _figure(statistics, "memory_iteration")
    if not number:
        return None
    page_bytes = _figure(statistics, "memory_page_size") or 4096
    return Passes(
        number=number,
        left_mib=_figure(statistics, "memory_remaining") / MIB,
        sent_mib_s=_figure(statistics, "memory_bps") / MIB,
        dirty_mib_s=_figure(statistics, "memory_dirty_rate") * page_bytes / MIB,
        throttle_ratio=_figure(statistics, "auto_converge_throttle") / 100,
    )


def allow_downtime(connection: libvirt.virConnect, guest: str, downtime_ms: int) -> None:
    """Set the allowed downtime of the guest's present or next migration."""
    connection.lookupByUUIDString(guest).migrateSetMaxDowntime(downtime_ms, 0)


def start_postcopy(connection: libvirt.virConnect, guest: str) -> None:
    """Let the guest go on at its target. libvirt refuses where the migration was not begun with post-copy."""
    connection.lookupByUUIDString(guest).migrateStartPostCopy(0)


def is_postcopy(state: int, reason: int) -> bool:
    """Tell whether a source's state is that of a guest that has gone on at its target, well or not."""
    import libvirt

    after = (libvirt.VIR_DOMAIN_PAUSED_POSTCOPY, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)
    return state == libvirt.VIR_DOMAIN_PAUSED and reason in after


def is_broken_postcopy(state: int, reason: int) -> bool:
    """Tell whether a source's state is that of a guest whose post-copy broke: memory on both hosts, for good or not."""
    import libvirt

    return bool(state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)


def _figure(statistics: Mapping[str, object], name: str) -> int:
    value = statistics.get(name)
    return value if isinstance(value, int) else 0
