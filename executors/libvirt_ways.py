"""The ways a migration uses, as libvirt's flags and parameters, and what libvirt says of an end's versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.migration.ways import End, Way, Ways

if TYPE_CHECKING:
    import libvirt


def end_of(connection: libvirt.virConnect, host: str, tls: bool | None) -> End:
    """Read the versions of an end. `tls`: whether QEMU's certificates are there, which libvirt does not say."""
    return End(host, int(connection.getLibVersion()), int(connection.getVersion()), tls)


def flags_of(ways: Ways) -> int:
    """Return the VIR_MIGRATE_ flags of these ways."""
    import libvirt

    flags = {
        Way.TLS: libvirt.VIR_MIGRATE_TLS,
        Way.POSTCOPY: libvirt.VIR_MIGRATE_POSTCOPY,
        Way.PARALLEL: libvirt.VIR_MIGRATE_PARALLEL,
        Way.XBZRLE: libvirt.VIR_MIGRATE_COMPRESSED,
        Way.ZSTD: libvirt.VIR_MIGRATE_COMPRESSED,
        Way.AUTO_CONVERGE: libvirt.VIR_MIGRATE_AUTO_CONVERGE,
        Way.LOCAL_DISKS: libvirt.VIR_MIGRATE_NON_SHARED_DISK,
    }
    total = 0
    for way in ways.used:
        total |= flags[way]
    return total


def parameters_of(ways: Ways) -> dict[str, Any]:
    """Return the VIR_MIGRATE_PARAM_ parameters of these ways."""
    import libvirt

    parameters: dict[str, Any] = {}
    if Way.PARALLEL in ways.used:
        parameters[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = ways.connections
    for way in (Way.XBZRLE, Way.ZSTD):
        if way in ways.used:
            parameters[libvirt.VIR_MIGRATE_PARAM_COMPRESSION] = way.value
    return parameters
