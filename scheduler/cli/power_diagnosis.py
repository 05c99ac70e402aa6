"""What `trimtab doctor` finds of hosts' power: whether each BMC answers, and what keeps a host from sleep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from cluster import wake_proof
from cluster.clock import Clock
from cluster.config.power import BmcDriver, StartsBlocked
from cluster.config.settings import CollectSource, HostSettings, Settings
from cluster.errors import InputError, TrimtabError, UnreachableError
from cluster.host import PowerState
from cluster.power_sight import ASKED
from executors.power.registry import Means, open_driver
from executors.power.rooms import HOOK, HOOKED
from scheduler.cli.matter import Grade, Matter

MOST_AT_ONCE = 32


def power_matters(settings: Settings, clock: Clock, flags: Mapping[str, str]) -> Iterator[Matter]:
    """Ask every host's driver for its state, all at once; none waits for a silent one. Nothing is changed."""
    if settings.collect.source in (CollectSource.SIMULATED, CollectSource.RECORDED):
        return
    for host in settings.hosts:
        if host.power.controllable and host.bmc is None:
            text = "may be put to sleep by its entry, but has no bmc"
            yield Matter(Grade.REMARK, host.id, text, "give its bmc, or set controllable = false under power")
    asked = [host for host in settings.hosts if host.bmc is not None]
    if not asked:
        return
    with ThreadPoolExecutor(min(MOST_AT_ONCE, len(asked))) as pool:
        yield from pool.map(lambda host: _ask(host, settings, clock, ASKED + host.id in flags), asked)
    for host in asked:
        why = wake_proof.why_no_sleep(flags, host.id, clock.now(), settings.power) if host.power.controllable else None
        if why is not None:
            yield Matter(Grade.REMARK, host.id, why.removeprefix(f"host {host.id} is "))
    yield from _starts(settings, [host.id for host in asked], flags)


def _starts(settings: Settings, hosts: list[str], flags: Mapping[str, str]) -> Iterator[Matter]:
    """Tell where nothing keeps guests from being started on a host that goes to sleep."""
    grade = Grade.REFUSES if settings.power.starts_blocked is StartsBlocked.REQUIRED else Grade.REMARK
    what = "guests could be started there while they go to sleep"
    if settings.collect.source is not CollectSource.AGENTS:
        yield Matter(grade, "power", f"hosts without agents: {what}", "run agents, with Trimtab's libvirt hook")
    elif missing := [host for host in hosts if flags.get(HOOK + host) != HOOKED]:
        text = f"no libvirt hook of Trimtab's on {', '.join(missing)}: {what}"
        yield Matter(grade, "power", text, "install config/libvirt-hook there and restart libvirt's daemon")


def _ask(host: HostSettings, settings: Settings, clock: Clock, asleep: bool) -> Matter:
    from cluster.connections.libvirt_connection import LibvirtConnection

    assert host.bmc is not None
    about, connection = f"{host.id} bmc", None
    if host.uri:
        connection = LibvirtConnection(host.uri, settings.power.deadline_s, clock, name=host.id)
    try:
        driver = open_driver(Means(host, host.bmc, settings.power, clock, connection))
        try:
            state = driver.state()
        finally:
            driver.close()
    except InputError as error:
        return Matter(Grade.REFUSES, about, str(error))
    except UnreachableError as error:
        return Matter(Grade.UNREACHABLE, about, str(error), "look at its address and network")
    except TrimtabError as error:
        return Matter(Grade.REFUSES, about, str(error))
    finally:
        if connection is not None:
            connection.close()
    if state is PowerState.UNKNOWN and not asleep:
        return Matter(Grade.REMARK, about, f"{host.bmc.driver} does not see whether it is on", "look at the host")
    if host.bmc.driver is BmcDriver.SIMULATED:
        return Matter(Grade.REMARK, about, "is only pretended: the host never sleeps", "set bmc.driver")
    insecure = host.bmc.driver is BmcDriver.REDFISH and not host.bmc.verify_tls
    if insecure:
        text = f"{host.bmc.driver} says {state}, but its certificate is not verified"
        return Matter(Grade.REMARK, about, text, "set bmc.ca_file and bmc.verify_tls = true")
    return Matter(Grade.FINE, about, f"{host.bmc.driver} says {state}")
