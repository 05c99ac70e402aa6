"""The power drivers by name: one line each. Modules are loaded when a host's entry asks for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cluster.clock import Clock
from cluster.config.power import BmcDriver, BmcSettings, PowerSettings, SuspendBy
from cluster.config.settings import HostSettings, Settings
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.connections.secret_file import read_secret
from cluster.errors import InputError
from executors.power.protocol import PowerDriver
from executors.power.suspenders import LibvirtSuspender, SshSuspender, Suspender


@dataclass(frozen=True, slots=True)
class Means:
    """What a driver may be made of. `connection`: the host's libvirt, where one is configured."""

    host: HostSettings
    bmc: BmcSettings
    power: PowerSettings
    clock: Clock
    connection: LibvirtConnection | None = None


def open_drivers(
    settings: Settings, clock: Clock, connections: Mapping[str, LibvirtConnection] | None = None
) -> dict[str, PowerDriver]:
    """Return the driver of every host whose entry has one, by host id. Nothing is asked yet.

    `InputError` where an entry or the file of its secret is wrong: all are refused for one.
    """
    known = connections or {}
    return {
        host.id: open_driver(Means(host, host.bmc, settings.power, clock, known.get(host.id)))
        for host in settings.hosts
        if host.bmc is not None
    }


def open_driver(means: Means) -> PowerDriver:
    """Return one host's driver."""
    if means.bmc.password_file:
        read_secret(f"host {means.host.id}: bmc.password_file", means.bmc.password_file)
    for key in ("ca_file", "identity_file"):
        if (name := getattr(means.bmc, key)) and not os.access(name, os.R_OK):
            raise InputError(f"host {means.host.id}: bmc.{key}: {name} cannot be read; name a file that is there")
    return DRIVERS[means.bmc.driver](means)


def _redfish(means: Means) -> PowerDriver:
    from cluster.connections.redfish import RedfishConnection
    from executors.power.redfish import RedfishDriver

    return RedfishDriver(RedfishConnection(means.host.id, means.bmc, means.power.deadline_s))


def _ipmi(means: Means) -> PowerDriver:
    from cluster.connections.ipmi import IpmiConnection
    from executors.power.ipmi import IpmiDriver

    return IpmiDriver(IpmiConnection(means.host.id, means.bmc, means.power.deadline_s))


def _wake_on_lan(means: Means) -> PowerDriver:
    from executors.power.wake_on_lan import WakeOnLanDriver

    by_ssh = means.bmc.suspend_by is SuspendBy.SSH
    suspender = _by_ssh(means) if by_ssh else _by_libvirt(means)
    return WakeOnLanDriver(means.host.id, means.bmc.mac, means.bmc.broadcast, suspender)


def _libvirt(means: Means) -> PowerDriver:
    from executors.power.libvirt_suspend import LibvirtSuspendDriver

    return LibvirtSuspendDriver(_by_libvirt(means))


def _by_libvirt(means: Means) -> Suspender:
    if means.connection is None:
        raise InputError(f"host {means.host.id}: libvirt is to suspend it, but it has no uri; give its libvirt uri")
    return LibvirtSuspender(means.connection, means.bmc.sleep_for_s, means.power.deadline_s)


def _by_ssh(means: Means) -> Suspender:
    bmc = means.bmc
    return SshSuspender(means.host.id, bmc.address, bmc.user, bmc.identity_file, means.power.deadline_s)


def _command(means: Means) -> PowerDriver:
    from executors.power.command import CommandDriver

    if not os.access(means.bmc.command[0], os.X_OK):
        raise InputError(f"host {means.host.id}: bmc.command: {means.bmc.command[0]} is no program that can be run")
    return CommandDriver(means.host.id, means.bmc.command, means.power.deadline_s)


def _simulated(means: Means) -> PowerDriver:
    from executors.power.simulated import SimulatedDriver

    return SimulatedDriver(means.clock, means.host.power.sleep_s, means.host.power.wake_s)


DRIVERS: Mapping[BmcDriver, Callable[[Means], PowerDriver]] = {
    BmcDriver.REDFISH: _redfish,
    BmcDriver.IPMI: _ipmi,
    BmcDriver.WAKE_ON_LAN: _wake_on_lan,
    BmcDriver.LIBVIRT: _libvirt,
    BmcDriver.COMMAND: _command,
    BmcDriver.SIMULATED: _simulated,
}
