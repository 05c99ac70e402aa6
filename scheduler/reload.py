"""What of a configuration that is read again counts at once, and what waits for the next start. Pure."""

from __future__ import annotations

from dataclasses import replace

from cluster.config.settings import HostSettings, Settings
from cluster.errors import InputError


def taken_over(old: Settings, new: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings to go on with, and what of the new ones waits because connections and jobs are made already.

    `InputError` when the new ones name no host any more. A host that is new waits as a whole: nobody could act on it.
    """
    if old.hosts and not new.hosts:
        raise InputError("configuration: no [[hosts]] entry; give each host's id and libvirt uri")
    waiting = [
        name for name in ("store", "migration", "simulator", "power") if getattr(old, name) != getattr(new, name)
    ]
    collect = replace(old.collect, stale_s=new.collect.stale_s)
    waiting += ["collect"] if collect != new.collect else []
    scheduler = replace(new.scheduler, lease_s=old.scheduler.lease_s, interval_s=old.scheduler.interval_s)
    waiting += ["scheduler.lease_s and interval_s"] if scheduler != new.scheduler else []
    known = {host.id: host for host in old.hosts}
    hosts: list[HostSettings] = []
    for host in new.hosts:
        if (was := known.get(host.id)) is None:
            waiting.append(f"host {host.id}")
            continue
        hosts.append(replace(host, uri=was.uri, migration_address=was.migration_address, bmc=was.bmc))
        waiting += [f"addresses of host {host.id}"] if hosts[-1] != host else []
    settings = replace(new, store=old.store, migration=old.migration, simulator=old.simulator, power=old.power)
    return replace(settings, collect=collect, scheduler=scheduler, hosts=tuple(hosts)), tuple(waiting)
