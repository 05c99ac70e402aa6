"""Hosts as the horizon model sees them: what each holds and draws, whether it may sleep now, and can be woken. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster import power_log, wake_proof
from cluster.config.consolidate import ConsolidateSettings
from cluster.host import Host, PowerState
from cluster.limits import Limits, Resource, limit, room
from cluster.power_curves import UNKNOWN, watts_at
from cluster.power_sight import THEIRS
from cluster.rules import Ignore
from cluster.snapshot import Snapshot

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A host that holds `cpu_millicores` and `memory_mib` at its limits, on now or to be woken.

    `why_on` says why it may not sleep now (`None`: it may). `watts_per_core`: what a core of its limit draws at that
    load, idle draw included. `empty_joules`: the energy of moving its guests away.
    """

    id: str
    cell: str
    cpu_millicores: int
    memory_mib: int
    idle_watts: float
    full_watts: float
    sleep_watts: float
    wake_s: float
    sleep_s: float
    is_on: bool
    why_on: str | None = None
    is_doubtful: bool = False
    empty_joules: float = 0.0

    @property
    def cycle_joules(self) -> float:
        """Energy of emptying it, going to sleep and waking, at its idle draw."""
        return self.empty_joules + self.idle_watts * (self.sleep_s + self.wake_s)

    @property
    def saved_watts(self) -> float:
        """What it saves asleep, empty hosts compared."""
        return self.idle_watts - self.sleep_watts

    def rank(self, cpu_share: float, memory_share: float) -> float:
        """Watts at full load over what it holds, weighed by how scarce CPU and memory are; the less the better."""
        holds = self.cpu_millicores * cpu_share + self.memory_mib * memory_share
        return self.full_watts / holds if holds > 0 else float("inf")


def units_of(
    snapshot: Snapshot,
    flags: Mapping[str, str],
    settings: ConsolidateSettings,
    limits: Limits,
    own_host: str,
    now: datetime,
) -> tuple[Unit, ...]:
    """Return the hosts that hold guests or could be woken to, by id.

    Of those asleep only what the energy policy put to sleep: others are under repair, or a person's to wake.
    """
    stuck = _stuck_hosts(snapshot)
    blocked = wake_proof.blocked(flags)
    units = []
    for host in sorted(snapshot.hosts, key=lambda one: one.id):
        is_on = snapshot.why_no_target(host) is None
        ours = flags.get(f"power:{host.id}") == PowerState.ASLEEP and host.power.state is PowerState.ASLEEP
        ours = ours and THEIRS + host.id not in flags
        if not is_on and not (ours and host.power.controllable and not host.cordoned and not host.failing):
            continue
        why = _why_on(host, flags, settings, own_host, now) or stuck.get(host.id)
        watts = host.power.watts or UNKNOWN
        moved_gib = sum(guest.memory_mib for guest in snapshot.guests_by_host[host.id]) / 1024
        units.append(
            Unit(
                id=host.id,
                cell=host.domain(settings.lost_domain) if settings.lost_domain else host.id,
                cpu_millicores=limit(host, Resource.CPU, limits) or 0,
                memory_mib=limit(host, Resource.MEMORY, limits) or 0,
                idle_watts=watts[0][1],
                full_watts=watts_at(watts, _ratio(host, limits)),
                sleep_watts=host.power.sleep_watts,
                wake_s=wake_proof.wake_s(flags, host.id, host.power.wake_s),
                sleep_s=host.power.sleep_s,
                is_on=is_on,
                why_on=why if is_on else None,
                is_doubtful=host.id in blocked,
                empty_joules=moved_gib * settings.move_joules_per_gib,
            )
        )
    return tuple(units)


def _why_on(
    host: Host, flags: Mapping[str, str], settings: ConsolidateSettings, own_host: str, now: datetime
) -> str | None:
    if not host.power.controllable:
        return "its power is not ours to control, or it has not proven that it wakes"
    if host.id == own_host:
        return "the scheduler runs on it"
    change = power_log.last_change(flags, host.id)
    if change is not None and now - change.at < timedelta(seconds=settings.least_on_s):
        return f"it woke at {change.at:%H:%M} UTC and stays on for {settings.least_on_s:g} s"
    cycles = power_log.cycles_within(flags, host.id, now, DAY_S)
    if cycles >= settings.cycles_per_day:
        return f"it went to sleep {cycles} times in a day"
    return None


def _stuck_hosts(snapshot: Snapshot) -> dict[str, str]:
    """Return the hosts that hold a guest which never moves by itself, each with the reason."""
    stuck = {guest.host: f"{guest.title} cannot leave it" for guest in snapshot.guests if not guest.movable}
    for rule in snapshot.rules:
        if isinstance(rule, Ignore):
            for one in snapshot.guest_directory.select(rule.guests):
                guest = snapshot.guest_by_id[one]
                stuck[guest.host] = f"{guest.title} is never touched"
    return stuck


def _ratio(host: Host, limits: Limits) -> float:
    return (limit(host, Resource.CPU, limits) or 0) / max(1, room(host, Resource.CPU) or 1)
