"""The power drivers by name: one line each. Modules are loaded when a host's entry asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cluster.clock import Clock
from cluster.config.power import BmcDriver, BmcSettings, PowerSettings
from cluster.config.settings import HostSettings, Settings
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.connections.secret_file import read_secret
from executors.power.protocol import PowerDriver


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
    return DRIVERS[means.bmc.driver](means)


def _redfish(means: Means) -> PowerDriver:
    from cluster.connections.redfish import RedfishConnection
    from executors.power.redfish import RedfishDriver

    return RedfishDriver(RedfishConnection(means.host.id, means.bmc, means.power.deadline_s))


def _simulated(means: Means) -> PowerDriver:
    from executors.power.simulated import SimulatedDriver

    return SimulatedDriver(means.clock, means.host.power.sleep_s, means.host.power.wake_s)


DRIVERS: Mapping[BmcDriver, Callable[[Means], PowerDriver]] = {
    BmcDriver.REDFISH: _redfish,
    BmcDriver.SIMULATED: _simulated,
}
