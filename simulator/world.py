"""The pretend cluster: hosts, guests, links and power, moved on from event to event up to the present of its clock.

Any call first catches up with the clock it was given; state changes only at events and by calls, so a run depends on
when things were asked for, never on how often one looked. Safe to use from several threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from cluster.clock import Clock
from cluster.errors import HostUnreachableError, RefusedError, StepError
from cluster.host import Host, PowerState
from cluster.report import Observation
from cluster.rules import Rule
from cluster.snapshot import Snapshot
from simulator import mishaps
from simulator.faults import Fault
from simulator.guests import SimGuest
from simulator.migration import JobResult, Migration, Physics
from simulator.network import Network, SharedLink
from simulator.observe import observe_host, true_snapshot
from simulator.power import HostPower
from simulator.watcher import Holding, Tally, Violation, Watcher

DEFAULT_LINK_MBIT_S = 10000.0
DEFAULT_PHYSICS = Physics()


@dataclass
class SimHost:
    """A host of the pretend cluster: its facts, its power, and who can talk to it."""

    facts: Host
    power: HostPower
    reachable: bool = True
    kill_switch: bool = False
    last_report: Observation | None = None
    """Set while its agent is stopped: all that can still be read."""

    @property
    def answers(self) -> bool:
        """Whether a call to its libvirt is answered."""
        return self.reachable and self.power.is_on


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the world, at so many seconds after it began."""

    at_s: float
    text: str


class Ledger(Protocol):
    """Counts what a world comes to. Told before anything changes, and at each look at loads."""

    def advance(self, world: World) -> None:
        """Count up to the world's present, in which everything is still as it was since the call before."""


class World:
    """Everything that is true of the pretend cluster. `load_start_s` is the time of day its loads begin at."""

    def __init__(
        self,
        hosts: Sequence[Host],
        guests: Sequence[SimGuest],
        clock: Clock,
        rules: Sequence[Rule] = (),
        *,
        faults: Sequence[Fault] = (),
        shared_links: Sequence[SharedLink] = (),
        link_mbit_s: float = DEFAULT_LINK_MBIT_S,
        physics: Physics = DEFAULT_PHYSICS,
        load_start_s: float = 36000.0,
        sample_s: float = 1.0,
        ledgers: Sequence[Ledger] = (),
        network: Network | None = None,
    ) -> None:
        self.clock = clock
        self.rules = tuple(rules)
        self.hosts = {host.id: SimHost(host, HostPower(host.power, host.power.state)) for host in hosts}
        self.guests = {guest.id: guest for guest in guests}
        self.holdings: dict[str, dict[str, Holding]] = {host.id: {} for host in hosts}
        for guest in guests:
            self.holdings[guest.facts.host][guest.id] = Holding.RUNNING
        mbit_s = {host.id: host.migration_mbit_s or link_mbit_s for host in hosts}
        self.network = network or Network(mbit_s, shared_links)
        self.migrations: dict[str, Migration] = {}
        self.hung: set[str] = set()
        self.armed: list[Fault] = []
        self.watcher = Watcher(hosts, [guest.facts for guest in guests], rules)
        self.watcher.settle(self.holdings)
        self._results: dict[str, JobResult] = {}
        self._pending = sorted(faults, key=lambda fault: fault.at_s)
        self._physics = physics
        self._load_start_s = load_start_s
        self._sample_s = sample_s
        self._samples = 0
        self.ledgers = tuple(ledgers)
        self.changing: set[str] = set()
        """Hosts on their way to another power state."""
        self.version = 0
        """Grows with every change of who runs where or moves where to."""
        self._next_s: float | None = None
        self._events: list[Event] = []
        self._began = clock.now()
        self._began_monotonic_s = clock.monotonic_s()
        self._t = 0.0
        self._lock = threading.RLock()
        self._account()

    # -- looking -----------------------------------------------------------------------------------------------------
    @contextmanager
    def present(self) -> Iterator[float]:
        """Hold the world still at its clock's present, having caught up. Gives the seconds since it began."""
        with self._lock:
            self._catch_up(self.clock.monotonic_s() - self._began_monotonic_s)
            yield self._t

    def observe(self, host: str) -> Observation:
        """Return what a collector on this host reports now. `HostUnreachableError` when it does not answer."""
        with self.present():
            return observe_host(self, host)

    def snapshot(self) -> Snapshot:
        """Return the whole truth as a snapshot, whoever is reachable; guests that run nowhere are not in it."""
        with self.present():
            return true_snapshot(self)

    def location(self, guest: str) -> tuple[str, ...]:
        """Return the hosts a guest runs on: one; none when it is lost; several only when things went badly wrong."""
        with self.present():
            return tuple(host for host, on in self.holdings.items() if on.get(guest) is Holding.RUNNING)

    def last_result(self, guest: str) -> JobResult | None:
        """Return how the guest's latest migration ended; `None` while one is under way or when there was none."""
        with self.present():
            return None if guest in self.migrations else self._results.get(guest)

    def violations(self) -> tuple[Violation, ...]:
        """Return what must not happen and did, in order."""
        with self.present():
            return tuple(self.watcher.violations)

    def tally(self) -> Tally:
        """Return what was done so far."""
        with self.present():
            return self.watcher.tally

    def joules(self) -> dict[str, float]:
        """Return the energy each host has drawn so far, as accounted at the looks at load."""
        with self.present():
            return {host_id: host.power.joules for host_id, host in self.hosts.items()}

    def take_events(self) -> list[Event]:
        """Return what happened since the last call."""
        with self.present():
            taken, self._events = self._events, []
            return taken

    def settle_accounts(self) -> None:
        """Let the ledgers count up to the clock's present."""
        with self.present():
            self._account()

    def settle(self) -> None:
        """Let the witness take the present state as the one that may not get worse (between two plans)."""
        with self.present():
            self.watcher.settle(self.holdings)

    # -- acting ------------------------------------------------------------------------------------------------------
    def start_migration(self, guest: str, source: str, target: str, limit_mib_s: float | None = None) -> None:
        """Begin a live migration as libvirt would. `RefusedError` or `StepError` when it cannot begin."""
        with self.present() as now:
            self._check_can_migrate(guest, source, target)
            self._account()
            facts = self.guests[guest]
            one = Migration(
                facts, source, target, self.network.path(source, target), limit_mib_s, now, self._load_start_s
            )
            one.physics = self._physics
            self.migrations[guest] = one
            self.holdings[target][guest] = Holding.ARRIVING
            for fault in [fault for fault in self.armed if fault.guest in ("", guest)]:
                self.armed.remove(fault)
                one.traps.append(fault)
            self.say(f"migration of {facts.facts.title} from {source} to {target} begins")
            self.watcher.migrating(self.migrations.values())
            self.placement_changed(guest, target)

    def set_migration_limit(self, guest: str, limit_mib_s: float | None) -> None:
        """Change the cap of a migration under way; nothing when there is none."""
        with self.present():
            if (one := self.migrations.get(guest)) is not None:
                one.limit_mib_s = limit_mib_s
                self.divide_links()

    def abort_migration(self, guest: str) -> None:
        """Stop a migration under way; the guest stays on its source. Nothing when there is none."""
        with self.present():
            if guest in self.migrations:
                self._account()
                self.end_migration(guest, "aborted")

    def sleep_host(self, host: str) -> None:
        """Let a host go down. It takes whoever runs there down with it: looking first is the caller's part."""
        with self.present() as now:
            self._account()
            self.hosts[host].power.begin(PowerState.ASLEEP, now)
            self.changing.add(host)
            self.say(f"host {host} goes to sleep")

    def wake_host(self, host: str) -> None:
        """Let a host come up."""
        with self.present() as now:
            self._account()
            self.hosts[host].power.begin(PowerState.ON, now)
            self.changing.add(host)
            self.say(f"host {host} is being woken")

    def inject(self, fault: Fault) -> None:
        """Let a fault happen now, or wait for its migration when it has a ratio."""
        with self.present():
            self._account()
            mishaps.apply(self, replace(fault, at_s=self._t))

    # -- for the parts of the world ------------------------------------------------------------------------------------
    @property
    def now_s(self) -> float:
        """Seconds since the world began, as far as it has caught up."""
        return self._t

    def time(self) -> datetime:
        """Return the world's present as a date."""
        return self._began + timedelta(seconds=self._t)

    def load_time_s(self) -> float:
        """Return the present on the axis that loads are a function of."""
        return self._t + self._load_start_s

    def say(self, text: str) -> None:
        """Note an event."""
        self._events.append(Event(self._t, text))

    def placement_changed(self, guest: str = "", *hosts: str) -> None:
        """Divide the links anew and let the witness look: at one guest and these hosts, or at everything."""
        self.version += 1
        self.divide_links()
        self.watcher.changed(self._t, self.holdings, guest, hosts)

    def divide_links(self) -> None:
        """Give every migration its share of the links."""
        self._next_s = None
        flows = [flow for one in self.migrations.values() if (flow := one.flow) is not None]
        rates = self.network.rates(flows)
        for guest, one in self.migrations.items():
            one.set_rate(self._t, rates.get(guest, 0.0))

    def end_migration(self, guest: str, error: str = "") -> None:
        """End a migration: arrived without an error, else the transient QEMU on the target goes."""
        one = self.migrations.pop(guest)
        result = one.result(self._t, error)
        self._results[guest] = result
        self.watcher.ended(result)
        title, way = one.guest.facts.title, f"from {one.source} to {one.target}"
        if self.holdings[one.target].get(guest) is Holding.ARRIVING:
            del self.holdings[one.target][guest]
        if error:
            self.say(f"migration of {title} {way} ended: {error}")
        else:
            self.holdings[one.source].pop(guest, None)
            self.holdings[one.target][guest] = Holding.RUNNING
            took = f"{result.mib:.0f} MiB in {result.ended_s - result.began_s:.1f} s, down {result.downtime_ms} ms"
            self.say(f"migration of {title} {way} done: {took}")
        self.placement_changed(guest, one.source, one.target)

    def kill_guest(self, guest: str, host: str) -> None:
        """Let a guest's QEMU on a host die, and with it a migration away from there."""
        one = self.migrations.get(guest)
        if one is not None and one.source == host:
            self.end_migration(guest, f"the QEMU on {host} died")
        elif one is not None and one.target == host:
            self.end_migration(guest, f"the QEMU on {host} died")
            return
        if self.holdings[host].pop(guest, None) is not None:
            self.say(f"guest {self.guests[guest].facts.title} died on {host}")
            self.placement_changed(guest, host)

    # -- how time passes -----------------------------------------------------------------------------------------------
    def _catch_up(self, to_s: float) -> None:
        while (at_s := self.next_event_s()) <= to_s:
            self._t = max(self._t, at_s)
            self._one_moment()
        self._t = max(self._t, to_s)

    def next_event_s(self) -> float:
        """Return when something happens next, in world seconds; at the latest its next look at loads."""
        return min(self._next_happening_s(), (self._samples + 1) * self._sample_s)

    def _next_happening_s(self) -> float:
        if self._next_s is None:
            self._next_s = self._first_happening_s()
        return self._next_s

    def _first_happening_s(self) -> float:
        return min(
            self._pending[0].at_s if self._pending else math.inf,
            min((self.hosts[host].power.done_s for host in self.changing), default=math.inf),
            min((one.next_event_s() for one in self.migrations.values()), default=math.inf),
        )

    def next_change_s(self) -> float:
        """Return when a power change, a fault or a step of a migration is due, on the clock's `monotonic_s`."""
        with self.present():
            return self._began_monotonic_s + min(self._next_happening_s(), self._t + self._sample_s)

    def _one_moment(self) -> None:
        """Let everything happen that is due now, in a fixed order."""
        self._account()
        while self._pending and self._pending[0].at_s <= self._t:
            mishaps.apply(self, self._pending.pop(0))
        for host_id in sorted(self.changing):
            if self.hosts[host_id].power.done_s <= self._t:
                self._power_changed(host_id, self.hosts[host_id])
        self.changing = {host for host in self.changing if self.hosts[host].power.changing_to is not None}
        for guest, one in sorted(self.migrations.items()):
            for fault in one.sprung(self._t):
                mishaps.spring(self, fault, one)
            if self.migrations.get(guest) is one and one.advance(self._t):
                self.end_migration(guest)
        self.divide_links()
        if (self._samples + 1) * self._sample_s <= self._t:
            self._samples += 1
            self._sample()

    def _account(self) -> None:
        """Let the ledgers count up to now: whatever changes next counts from here on."""
        self._next_s = None
        for ledger in self.ledgers:
            ledger.advance(self)

    def _power_changed(self, host_id: str, host: SimHost) -> None:
        went_down = host.power.finish()
        self.say(f"host {host_id} is {host.power.state}" + (f": {host.power.error}" if host.power.error else ""))
        if went_down:
            for guest in sorted(self.holdings[host_id]):
                if self.holdings[host_id].get(guest) is Holding.RUNNING:
                    self.watcher.lost(self._t, guest, f"host {host_id} went to sleep with it")
                self.kill_guest(guest, host_id)

    def _sample(self) -> None:
        at_s = self.load_time_s()
        for host_id, host in self.hosts.items():
            wanted = self.wanted_millicores(host_id, at_s) if host.power.is_on else 0.0
            self.watcher.load(self._sample_s, host_id, wanted)
            load = min(1.0, wanted / host.facts.cpu_millicores) if host.facts.cpu_millicores else 0.0
            host.power.joules += host.power.watts(load) * self._sample_s
        self.watcher.waited(self._t, self.holdings)

    def wanted_millicores(self, host: str, at_s: float) -> float:
        """Return the CPU that the guests running on a host want at a load time."""
        on: Mapping[str, Holding] = self.holdings[host]
        return sum(self.guests[guest].wanted_millicores(at_s) for guest, how in on.items() if how is Holding.RUNNING)

    def _check_can_migrate(self, guest: str, source: str, target: str) -> None:
        for host in (source, target):
            if host not in self.hosts or not self.hosts[host].answers:
                raise HostUnreachableError(f"host {host} does not answer; wait until it does, or look at it yourself")
        title = self.guests[guest].facts.title if guest in self.guests else guest
        if self.holdings[source].get(guest) is not Holding.RUNNING:
            raise RefusedError(f"guest {title} does not run on {source}; plan again from what is there now")
        if guest in self.migrations:
            raise RefusedError(f"guest {title} is already under way; wait until that migration is over")
        if guest in self.holdings[target]:
            raise RefusedError(f"guest {title} is already active on {target}; find out why it runs twice")
        if guest in self.hung:
            raise StepError(f"guest {title}: its QEMU monitor does not answer; look at its QEMU on {source}")
