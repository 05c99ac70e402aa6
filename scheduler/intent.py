"""What the daemon wants now, in order: what operators asked for first, then the policy of the hour. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from cluster.config.settings import Mode, Settings
from cluster.host import Host
from cluster.plan import DRAIN, EVACUATE
from cluster.snapshot import Snapshot
from cluster.wake_proof import with_proof
from scheduler.energy.night import CONSOLIDATE
from scheduler.gate import View
from scheduler.power.wake_state import under_test

BALANCE, WAKE = "balance", "wake"


@dataclass(frozen=True, slots=True)
class Intent:
    """A policy to plan for. `by_request`: mode, act windows and cooldowns do not hold it back.

    That is so where a person asked, and where sensors say in mode `act` that a host fails.
    """

    policy: str
    drained: tuple[str, ...] = ()
    by_request: bool = False


def intent_of(view: View) -> tuple[Intent, ...]:
    """Return what to plan for; a later one is tried when an earlier one has nothing to do."""
    wanted = []
    failing = hosts_to_empty(view, {host.id for host in view.snapshot.hosts if host.failing})
    if failing:
        told = any(f"fail:{host}" in view.flags for host in failing)
        wanted.append(Intent(EVACUATE, failing, by_request=told or view.settings.scheduler.mode is Mode.ACT))
    drained = hosts_to_empty(view, {flag.removeprefix("drain:") for flag in view.flags if flag.startswith("drain:")})
    if drained:
        wanted.append(Intent(DRAIN, drained, by_request=True))
    advice = view.advise()
    if advice is not None and advice.wake:
        wanted.append(Intent(WAKE, by_request=view.settings.scheduler.mode is Mode.ACT))
    wanted.append(Intent(_policy_of_the_hour(view)))
    return tuple(wanted)


def _policy_of_the_hour(view: View) -> str:
    """Return what goes on when nothing is asked for: in the morning guests spread before the window is over."""
    policy = view.settings.scheduler.policy
    advice = view.advise()
    if advice is None or not advice.is_night:
        return BALANCE if policy == CONSOLIDATE else policy
    return CONSOLIDATE


def is_urgent(view: View) -> bool:
    """Tell whether a host that fails is to be emptied now, or hosts are to be woken for what runs already."""
    first = intent_of(view)[0]
    if first.policy == WAKE:
        advice = view.advise()
        return first.by_request and advice is not None and advice.is_urgent
    return first.policy == EVACUATE and first.by_request


def hosts_to_empty(view: View, wanted: Collection[str]) -> tuple[str, ...]:
    """Return those of the wanted hosts that still hold guests which may move, sorted."""
    return tuple(
        sorted(
            host.id
            for host in view.snapshot.hosts
            if host.id in wanted
            and view.snapshot.why_unplannable(host) is None
            and any(guest.movable for guest in view.snapshot.guests_by_host[host.id])
        )
    )


def plannable_by_us(
    snapshot: Snapshot, settings: Settings, stopped: frozenset[str], can_sleep: bool, flags: Mapping[str, str] | None
) -> Snapshot:
    """Return the snapshot as autonomous plans see it.

    Hosts whose own mode is not `act`, or that hold a kill switch (`stopped`), take nothing and their guests stay.
    Without a way to control power no host counts as controllable, nor does one whose waking the `flags` leave in doubt
    or that is under test (`None`: whatever they say).
    """
    modes = {host.id: host.mode for host in settings.hosts}
    closed = {host.id for host in snapshot.hosts if modes.get(host.id, Mode.ACT) is not Mode.ACT or host.id in stopped}
    if settings.scheduler.mode is not Mode.ACT:
        closed = set(stopped)

    tested = under_test(flags or {})

    def seen(host: Host) -> Host:
        if not can_sleep or host.id in tested:
            host = replace(host, power=replace(host.power, controllable=False))
        if flags is not None:
            host = with_proof(host, flags, snapshot.taken_at, settings.power)
        return replace(host, cordoned=True) if host.id in closed else host

    guests = tuple(
        replace(guest, movable=False, why_not=f"host {guest.host} is not to be acted on")
        if guest.host in closed and guest.movable
        else guest
        for guest in snapshot.guests
    )
    return replace(snapshot, hosts=tuple(seen(host) for host in snapshot.hosts), guests=guests)
