"""Which hosts' power is within this scheduler's reach, laid over a snapshot. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

from cluster.host import Host, PowerState
from cluster.snapshot import Snapshot
from executors.protocol import PowerExecutor


@runtime_checkable
class KnowsReach(Protocol):
    """A power executor that knows hosts it can never put to sleep."""

    def why_not_sleep(self, host: str) -> str | None:
        """Say why a host can never be put to sleep; `None`: it can."""


def within_reach(snapshot: Snapshot, power: PowerExecutor | None) -> Snapshot:
    """Return the snapshot with only those hosts controllable whose power this scheduler can reach and may cut."""
    known: object = power
    if not isinstance(known, KnowsReach):
        return snapshot
    hosts = tuple(
        replace(host, power=replace(host.power, controllable=False))
        if host.power.controllable and (known.why_not_sleep(host.id) is not None or _is_taken_out(host))
        else host
        for host in snapshot.hosts
    )
    return replace(snapshot, hosts=hosts)


def _is_taken_out(host: Host) -> bool:
    """Tell whether a host that does not run was taken out by a person: it may be in pieces, and stays asleep."""
    return host.power.state is not PowerState.ON and (host.cordoned or host.failing)
