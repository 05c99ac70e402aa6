"""Power of real hosts as the loop is given it: each host's driver, the executor over them, the observer beside it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from cluster.clock import Clock
from cluster.config.settings import CollectSource, HostSettings, Settings
from cluster.connections.libvirt_connection import LibvirtConnection, is_remote
from cluster.store.protocol import Store
from collectors.system import is_this_machine
from executors.power.executor import HostPowerExecutor
from executors.power.observer import PowerObserver
from executors.power.registry import open_drivers
from executors.power.rooms import AgentRoom, RemoteRoom, Room
from executors.power.worker import HostWorker

STORES_OWN = "is the store's own (store.url)"
CALLS_OF_A_DRIVER = 4
"""How many calls a driver makes at most for one thing asked of it."""


@dataclass(frozen=True)
class PowerParts:
    """What carries power steps out, what looks at hosts nobody hears from, and what is to be closed with them."""

    executor: HostPowerExecutor
    observer: PowerObserver
    connections: tuple[LibvirtConnection, ...]


def open_power(settings: Settings, clock: Clock, store: Store) -> PowerParts | None:
    """Open the drivers of all hosts that have one; `None` where none has. `InputError` for a wrong entry."""
    if not any(host.bmc is not None for host in settings.hosts):
        return None
    chosen = settings.power
    # Connections of their own: one to a host that goes down must not hold up what moves guests.
    connections = {
        host.id: LibvirtConnection(host.uri, chosen.deadline_s, clock, name=host.id)
        for host in settings.hosts
        if host.uri and host.bmc is not None
    }
    drivers = open_drivers(settings, clock, connections)
    patience_s = CALLS_OF_A_DRIVER * chosen.deadline_s
    workers = {host: HostWorker(host, driver, clock, patience_s=patience_s) for host, driver in drivers.items()}
    room: Room
    if settings.collect.source is CollectSource.AGENTS:
        lasting_s = chosen.sleep_timeout_s + chosen.agent_timeout_s
        room = AgentRoom(store, clock, chosen.starts_blocked, chosen.agent_timeout_s, lasting_s)
    else:
        room = RemoteRoom(connections, chosen.starts_blocked)
    executor = HostPowerExecutor(
        workers,
        store,
        clock,
        chosen,
        room,
        kept_on=kept_on(settings),
        why_kept_on=partial(why_kept_on, settings),
        quiet_s=1.5 * settings.collect.interval_s,
    )
    observer = PowerObserver(workers, store, clock, chosen, room, settings.collect.stale_s)
    return PowerParts(executor, observer, tuple(connections.values()))


def kept_on(settings: Settings) -> dict[str, str]:
    """Return the hosts that must never sleep, each with what it is, as far as names tell. Asks nobody."""
    store = urlsplit(settings.store.url).hostname or ""
    found = {}
    for host in settings.hosts:
        if is_own(host):
            found[host.id] = "is this scheduler's own"
        elif store and store in _names(host):
            found[host.id] = STORES_OWN
    return found


def why_kept_on(settings: Settings, host_id: str) -> str | None:
    """Say what a host is that must not sleep, by the addresses behind all names. Asks the network: not for the loop."""
    store = urlsplit(settings.store.url).hostname or ""
    host = next((one for one in settings.hosts if one.id == host_id), None)
    if host is None or not store:
        return None
    addresses = _addresses(store)
    return STORES_OWN if any(addresses & _addresses(name) for name in _names(host)) else None


def is_own(host: HostSettings) -> bool:
    """Tell whether this process runs on a host: by its URI, or by its name."""
    if host.uri and (not is_remote(host.uri) or is_this_machine(host.uri)):
        return True
    return host.id.partition(".")[0] == socket.gethostname().partition(".")[0]


def _names(host: HostSettings) -> frozenset[str]:
    """Return the names and addresses that a host is known by."""
    names = {host.id, host.id.partition(".")[0], urlsplit(host.uri).hostname or "", host.migration_address}
    return frozenset(names - {""})


def _addresses(name: str) -> frozenset[str]:
    """Return a name's addresses; none for a name that nobody knows now."""
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(name, None))
    except (OSError, UnicodeError):
        return frozenset()
