"""Executors whose hands reach into a pretend cluster, with the refusals and blind spots that real hosts have."""

from __future__ import annotations

from cluster.errors import HostUnreachableError, RefusedError, StepError
from cluster.host import PowerState
from cluster.plan import Migrate, Sleep, Wake
from executors.protocol import MayBegin, Presence, Progress, Sighting, always
from simulator.watcher import Holding
from simulator.world import World


class SimMigrationExecutor:
    """An `executors.protocol.MigrationExecutor` for a world. Holds nothing itself: a new one adopts what runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def look(self, step: Migrate) -> Sighting:
        with self._world.present():
            others = [host for host in self._world.hosts if host not in (step.source, step.target)]
            seen = {host: self._presence(step.guest, host) for host in (step.source, step.target, *others)}
            return Sighting(
                source=seen[step.source],
                target=seen[step.target],
                elsewhere=tuple(host for host in others if seen[host] in (Presence.RUNNING, Presence.LEAVING)),
                answering=step.guest not in self._world.hung,
                silent=tuple(host for host in (step.source, step.target) if seen[host] is Presence.UNKNOWN),
            )

    def start(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin = always) -> None:
        if not may_begin():
            raise StepError("not begun: it was given up, or another scheduler leads now")
        self._world.start_migration(step.guest, step.source, step.target, float(limit_mib_s) if limit_mib_s else None)

    def set_limit(self, step: Migrate, limit_mib_s: int) -> None:
        with self._world.present():
            self._must_answer(step.source)
            if self._runs(step):
                self._world.set_migration_limit(step.guest, float(limit_mib_s) if limit_mib_s else None)

    def poll(self, step: Migrate) -> Progress:
        with self._world.present() as now:
            self._must_answer(step.source)
            one = self._world.migrations.get(step.guest)
            if one is not None and self._runs(step):
                return Progress(running=True, ratio=one.ratio(now), mib=round(one.sent_mib(now)))
            last = self._world.last_result(step.guest)
            if last is None or (last.source, last.target) != (step.source, step.target):
                return Progress(running=False)
            done = 0.0 if last.error else 1.0
            return Progress(False, done, round(last.mib), last.downtime_ms if not last.error else None, last.error)

    def abort(self, step: Migrate) -> None:
        with self._world.present():
            self._must_answer(step.source)
            if self._runs(step):
                self._world.abort_migration(step.guest)

    def _runs(self, step: Migrate) -> bool:
        one = self._world.migrations.get(step.guest)
        return one is not None and (one.source, one.target) == (step.source, step.target)

    def _presence(self, guest: str, host_id: str) -> Presence:
        host = self._world.hosts.get(host_id)
        if host is None or not host.reachable:
            return Presence.UNKNOWN
        if not host.power.is_on:
            # A host that Trimtab saw go to sleep runs nothing; its power shows it.
            return Presence.ABSENT if host.power.observed is PowerState.ASLEEP else Presence.UNKNOWN
        match self._world.holdings[host_id].get(guest):
            case Holding.ARRIVING:
                return Presence.ARRIVING
            case Holding.RUNNING:
                one = self._world.migrations.get(guest)
                return Presence.LEAVING if one is not None and one.source == host_id else Presence.RUNNING
            case _:
                return Presence.ABSENT

    def _must_answer(self, host: str) -> None:
        if host not in self._world.hosts or not self._world.hosts[host].answers:
            raise HostUnreachableError(f"host {host} does not answer; what runs there is left alone until it does")


class SimPowerExecutor:
    """An `executors.protocol.PowerExecutor` for a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self, step: Sleep | Wake, may_begin: MayBegin = always) -> None:
        with self._world.present():
            host = self._world.hosts.get(step.host)
            if host is None or not host.reachable:
                raise HostUnreachableError(f"host {step.host} does not answer; look at it yourself")
            if not host.facts.power.controllable:
                raise RefusedError(
                    f"host {step.host} is not power-controllable; set power.controllable if it is meant to"
                )
            if isinstance(step, Wake):
                self._world.wake_host(step.host)
                return
            if on := sorted(self._world.holdings[step.host]):
                raise RefusedError(f"host {step.host} holds {len(on)} guests ({on[0]}, ...); move them first")
            self._world.sleep_host(step.host)

    def poll(self, step: Sleep | Wake) -> Progress:
        with self._world.present():
            power = self._world.hosts[step.host].power
            wanted = PowerState.ON if isinstance(step, Wake) else PowerState.ASLEEP
            if power.changing_to is wanted:
                return Progress(running=True)
            if power.state is wanted:
                return Progress(running=False, ratio=1.0)
            return Progress(running=False, error=power.error or f"host {step.host} is {power.observed}")

    def observed(self, host: str) -> PowerState:
        """Return the power state that a look shows, as a BMC would tell it."""
        with self._world.present():
            return self._world.hosts[host].power.observed
