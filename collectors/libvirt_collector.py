"""The collector that asks a host's libvirt: a look is two bulk calls, and definitions only where something is new.

Works over any libvirt URI. On the host itself (an agent) it is given what the machine's own kernel says, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cluster.clock import Clock
from cluster.connections.libvirt_connection import DeadlineError, LibvirtConnection, LibvirtError
from cluster.errors import HostUnreachableError
from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.report import HostUsage, Observation
from collectors import libvirt_reading as reading
from collectors.dirty_rate import DirtyRateSampler
from collectors.disks import SharedStorage
from collectors.domain_stats import (
    Counters,
    counters,
    delay_ratio,
    disk_sizes_mib,
    measured_dirty,
    memory_used_mib,
    usage,
)
from collectors.domain_xml import DomainFacts, read_domain
from collectors.libvirt_reading import NodeTimes, ReadDomain, ReadHost, RunningDomain
from collectors.movability import RUNNING, Condition, why_not_now

FIRST_GAP_S = 1.0
DEFINITION_AGE_S = 60.0
HOST_AGE_S = 300.0
NOTED_DELAY_RATIO = 0.2
_MONITOR_SHARE = 0.4  # of the deadline, for each of two attempts


@dataclass(frozen=True, slots=True)
class LocalSources:
    """What a collector on the host itself can add to what libvirt says; each is called at a look."""

    usage: Callable[[], HostUsage]
    shared_mounts: Callable[[], tuple[str, ...]] = tuple
    owners: Callable[[], Mapping[str, str]] = dict
    networks: Callable[[], tuple[str, ...] | None] = lambda: None


@dataclass(frozen=True, slots=True)
class CollectorOptions:
    """How a host is looked at.

    `shared_paths`: path prefixes that other hosts see, too. `storage`: what the host reaches, `None`: everything.
    `cpu_millicores`, `memory_mib`: capacity instead of what libvirt says (a lab, a host that does other work).
    `load_from_guests`: the host's load is the sum of its guests'.
    """

    deadline_s: float = 5.0
    overhead_mib: int = 0
    shared_paths: tuple[str, ...] = ()
    storage: tuple[str, ...] | None = None
    cpu_millicores: int | None = None
    memory_mib: int | None = None
    net_mbit_s: float | None = None
    disk_mib_s: float | None = None
    migration_mbit_s: float | None = None
    load_from_guests: bool = False
    dirty_rate_every_s: float = 0.0
    dirty_rate_period_s: float = 1.0


@dataclass(frozen=True, slots=True)
class _Known:
    """A definition as last read, and when (monotonic)."""

    domain_id: int
    read_s: float
    read: ReadDomain
    facts: DomainFacts


class LibvirtCollector:
    """Looks at one host over a `LibvirtConnection`. Not for use by several threads at once."""

    def __init__(
        self,
        host_id: str,
        connection: LibvirtConnection,
        clock: Clock,
        options: CollectorOptions,
        local: LocalSources | None = None,
    ) -> None:
        self._host_id = host_id
        self._connection = connection
        self._clock = clock
        self._options = options
        self._local = local
        self._dirty = DirtyRateSampler(options.dirty_rate_every_s, options.dirty_rate_period_s)
        self._known: dict[str, _Known] = {}
        self._counters: dict[str, Counters] = {}
        self._monitor: dict[str, Mapping[str, object]] = {}
        self._host: tuple[float, ReadHost] | None = None
        self._node: tuple[float, NodeTimes] | None = None
        self._looked = False
        self._began_s = 0.0
        self._warnings: list[str] = []

    @property
    def host(self) -> str:
        return self._host_id

    def collect(self) -> Observation:
        """Look once; the first time twice, since rates need it. `HostUnreachableError` when libvirt does not answer."""
        if not self._looked:
            self._look()
            self._looked = True
            self._clock.sleep(FIRST_GAP_S)
        return self._look()

    def close(self) -> None:
        self._connection.close()

    def _look(self) -> Observation:
        self._began_s, self._warnings = self._clock.monotonic_s(), []
        known = {(uuid, one.domain_id) for uuid, one in self._known.items()}
        domains = self._connection.call(
            "list its guests", lambda connection: reading.read_running(connection, known), self._left_s()
        )
        taken_at, at_s = self._clock.now(), self._clock.monotonic_s()
        fresh = self._ask_monitors()
        self._monitor = {uuid: fresh.get(uuid, self._monitor.get(uuid, {})) for uuid in domains.active}
        host = self._read_host()
        self._refresh_definitions(domains.active, fresh, host)
        most_millicores = host.cpus * 1000
        before, self._counters = self._counters, {}
        guests = []
        for uuid in sorted(domains.active.keys() & self._known.keys()):
            domain = domains.active[uuid]
            stats = {**fresh.get(uuid, {}), **domain.stats}
            self._counters[uuid] = counters(stats, domain.domain_id, at_s)
            guests.append(self._guest(domain, before.get(uuid), most_millicores, host))
        self._sample_dirty_rate(domains.active, fresh)
        return Observation(
            taken_at=taken_at,
            host=self._host_facts(host, taken_at),
            usage=self._usage(guests, host, at_s),
            guests=tuple(guests),
            inactive=domains.inactive,
            warnings=tuple(self._warnings),
        )

    def _left_s(self, share: float = 1.0) -> float:
        """Seconds that may still be spent on this look; never so few that nothing could answer."""
        left_s = self._options.deadline_s - (self._clock.monotonic_s() - self._began_s)
        return max(0.1, min(left_s, share * self._options.deadline_s))

    def _ask_monitors(self) -> dict[str, Mapping[str, object]]:
        """Ask the guests' QEMUs. One that hangs holds up the call; a second, on a new connection, passes it over."""
        pending = self._dirty.pending is not None
        for _ in range(2):
            try:
                return self._connection.call(
                    "read the statistics of its guests",
                    lambda connection: reading.read_monitor_stats(connection, pending),
                    self._left_s(_MONITOR_SHARE),
                )
            except DeadlineError:
                continue
            except LibvirtError as error:
                self._warnings.append(str(error))
                return {}
        self._warnings.append(f"host {self._host_id}: QEMU of some guests does not answer; memory and disk use unknown")
        return {}

    def _read_host(self) -> ReadHost:
        now_s = self._clock.monotonic_s()
        if self._host is None or now_s - self._host[0] >= HOST_AGE_S:
            self._host = (now_s, self._connection.call("read its capabilities", reading.read_host, self._left_s()))
        return self._host[1]

    def _refresh_definitions(
        self, active: Mapping[str, RunningDomain], fresh: Mapping[str, object], host: ReadHost
    ) -> None:
        """Read definitions that are new, of another run, or old; a few old ones at a time, jobs at every look."""
        now_s = self._clock.monotonic_s()
        self._known = {uuid: one for uuid, one in self._known.items() if uuid in active}
        wanted = {
            uuid: uuid not in fresh
            for uuid, domain in active.items()
            if uuid not in self._known or self._known[uuid].domain_id != domain.domain_id or self._is_old(uuid, now_s)
        }
        if wanted:
            read = self._connection.call(
                "read the definitions of its guests",
                lambda connection: reading.read_definitions(connection, wanted),
                self._left_s(),
            )
            shared = self._shared_storage(host)
            for uuid, definition in read.items():
                self._learn(active[uuid], definition, shared, now_s)
        at_work = [uuid for uuid, one in self._known.items() if one.read.job or one.read.backup]
        if at_work := [uuid for uuid in at_work if uuid not in wanted and uuid in fresh]:
            jobs = self._connection.call(
                "read the jobs of its guests", lambda connection: reading.read_jobs(connection, at_work), self._left_s()
            )
            for uuid, (job, backup) in jobs.items():
                known = self._known[uuid]
                self._known[uuid] = replace(known, read=replace(known.read, job=job, backup=backup))

    def _is_old(self, uuid: str, now_s: float) -> bool:
        """Ages differ from guest to guest, so that not all are read again at one look."""
        spread = int(uuid[:4], 16) / 0xFFFF if len(uuid) >= 4 and uuid[:4].isalnum() else 0.5
        return now_s - self._known[uuid].read_s >= DEFINITION_AGE_S * (0.75 + spread / 2)

    def _learn(self, domain: RunningDomain, definition: ReadDomain, shared: SharedStorage, now_s: float) -> None:
        known = self._known.get(domain.uuid)
        if known is not None and known.read.xml == definition.xml:
            facts = known.facts
        else:
            try:
                facts = read_domain(definition.xml, shared)
            except ValueError as error:
                # A guest that cannot be read cannot be left out either: it takes room that nobody would know of.
                raise HostUnreachableError(
                    f"host {self._host_id}: the definition of guest {domain.name} cannot be read: {error}"
                ) from None
        self._known[domain.uuid] = _Known(domain.domain_id, now_s, definition, facts)

    def _shared_storage(self, host: ReadHost) -> SharedStorage:
        mounts = self._local.shared_mounts() if self._local is not None else ()
        return SharedStorage(tuple(sorted({*self._options.shared_paths, *mounts})), host.pools)

    def _guest(self, domain: RunningDomain, before: Counters | None, most_millicores: int, host: ReadHost) -> Guest:
        known = self._known[domain.uuid]
        facts, monitor = known.facts, self._monitor[domain.uuid]
        now = self._counters[domain.uuid]
        sizes = disk_sizes_mib(monitor)
        unsized = next((disk.target for disk in facts.local_disks if disk.target not in sizes), "")
        owners = self._local.owners() if self._local is not None else {}
        why_not = (*facts.why_not, *why_not_now(_condition(domain, known.read, owners.get(domain.name), unsized)))
        waited = delay_ratio(before, now, facts.vcpus)
        if waited is not None and waited >= NOTED_DELAY_RATIO:
            self._warnings.append(f"guest {domain.name}: its vCPUs waited {waited:.0%} of the time for a CPU")
        self._warnings.extend(f"guest {domain.name}: metadata: {problem}" for problem in facts.metadata.problems)
        return Guest(
            id=domain.uuid,
            host=self._host_id,
            name=domain.name,
            vcpus=facts.vcpus,
            memory_mib=facts.memory_mib,
            overhead_mib=self._options.overhead_mib,
            usage=usage(before, now, memory_used_mib(monitor, facts.memory_mib), most_millicores),
            dirty=self._dirty.known(domain.uuid, domain.domain_id),
            local_disk_mib=sum(sizes.get(disk.target, 0) for disk in facts.local_disks),
            hugepages_mib=facts.hugepages_mib,
            cpu_model=host.abilities.cpu_need(facts.virt_type, facts.cpu_mode, facts.cpu_model),
            machine=facts.machine,
            storage=facts.storage,
            networks=facts.networks,
            movable=not why_not,
            why_not="; ".join(why_not) or None,
            priority=facts.metadata.priority,
            labels=facts.metadata.labels,
            migration=facts.metadata.migration,
        )

    def _sample_dirty_rate(
        self, active: Mapping[str, RunningDomain], fresh: Mapping[str, Mapping[str, object]]
    ) -> None:
        self._dirty.keep_only(active)
        now_s = self._clock.monotonic_s()
        if (pending := self._dirty.pending) is not None:
            self._dirty.finished(measured_dirty(fresh.get(pending, {}), self._dirty.period_s), now_s)
            return
        candidates = {
            uuid: domain.domain_id
            for uuid, domain in active.items()
            if uuid in fresh and domain.state == RUNNING and not self._known[uuid].read.job
        }
        guest = self._dirty.next(candidates, now_s)
        if guest is None:
            return
        try:
            begun = self._connection.call(
                "measure a dirty rate",
                lambda connection: reading.start_dirty_rate(connection, guest, self._dirty.period_s),
                self._left_s(),
            )
        except HostUnreachableError:
            begun = False  # The look itself is complete; the next one says what is wrong with the host.
        if begun:
            self._dirty.started(guest, candidates[guest], now_s)
        else:
            self._dirty.refused(guest, now_s)

    def _host_facts(self, host: ReadHost, taken_at: datetime) -> Host:
        options, abilities = self._options, host.abilities
        local_networks = self._local.networks() if self._local is not None else None
        networks = host.networks
        if local_networks is not None:
            networks = tuple(sorted({*local_networks, *(networks or ())}))
        return Host(
            id=self._host_id,
            cpu_millicores=options.cpu_millicores or host.cpus * 1000,
            memory_mib=options.memory_mib or host.memory_mib,
            net_mbit_s=options.net_mbit_s,
            disk_mib_s=options.disk_mib_s,
            hugepages_mib=abilities.hugepages_mib,
            migration_mbit_s=options.migration_mbit_s,
            measured_at=taken_at,
            cpu_models=abilities.cpu_models,
            machines=abilities.machines,
            storage=options.storage,
            networks=networks,
        )

    def _usage(self, guests: list[Guest], host: ReadHost, at_s: float) -> HostUsage:
        if self._options.load_from_guests:
            return sum_of_guests(guests, self._options.memory_mib or host.memory_mib)
        if self._local is not None:
            return self._local.usage()
        try:
            node = self._connection.call("read its own load", reading.read_node_times, self._left_s())
        except (LibvirtError, HostUnreachableError) as error:
            self._warnings.append(str(error))
            return HostUsage()
        before, self._node = self._node, (at_s, node)
        cpu_millicores = None
        if before is not None and node.busy_ns is not None and before[1].busy_ns is not None and at_s > before[0]:
            cpu_millicores = max(0, round((node.busy_ns - before[1].busy_ns) / (at_s - before[0]) / 1e6))
        return HostUsage(cpu_millicores=cpu_millicores, memory_available_mib=node.available_mib)


def sum_of_guests(guests: list[Guest], memory_mib: int) -> HostUsage:
    """Return a host's load as the sum of its guests'; a figure that one of them lacks is unknown for the host."""
    uses: list[Usage] = [guest.usage for guest in guests]
    cpu = [one.cpu_millicores for one in uses if one.cpu_millicores is not None]
    net = [one.net_mbit_s for one in uses if one.net_mbit_s is not None]
    disk = [one.disk_mib_s for one in uses if one.disk_mib_s is not None]
    return HostUsage(
        cpu_millicores=sum(cpu) if len(cpu) == len(uses) else None,
        memory_available_mib=max(0, memory_mib - sum(guest.memory_demand_mib for guest in guests)),
        net_mbit_s=sum(net) if len(net) == len(uses) else None,
        disk_mib_s=sum(disk) if len(disk) == len(uses) else None,
    )


def _condition(domain: RunningDomain, read: ReadDomain, owner: str | None, unsized: str) -> Condition:
    return Condition(
        state=domain.state,
        reason=domain.reason,
        persistent=read.persistent,
        snapshots=read.snapshots,
        backup=read.backup,
        job=read.job,
        block_job=read.block_job,
        owner=owner,
        unsized_disk=unsized,
    )
