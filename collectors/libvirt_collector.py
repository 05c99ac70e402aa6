"""The collector that asks a host's libvirt: a look is one bulk call, and definitions only where something is new.

Works over any libvirt URI. On the host itself (an agent) it is given what the machine's own kernel says, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from cluster.clock import Clock
from cluster.connections.libvirt_connection import DeadlineError, LibvirtConnection, LibvirtError
from cluster.errors import HostUnreachableError
from cluster.guest import Guest, LocalDisks, Usage
from cluster.host import Host
from cluster.migration.compatibility import POOL, need, unmet
from cluster.report import HostUsage, Observation
from collectors import libvirt_reading as reading
from collectors.definitions import Definitions
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
from collectors.domain_xml import copied_disks
from collectors.libvirt_reading import NodeTimes, ReadHost, RunningDomain, RunningDomains
from collectors.movability import RUNNING, Condition, why_not_now

LEAST_GAP_S = 1.0
HOST_AGE_S = 300.0
NOTED_DELAY_RATIO = 0.2
SILENT_LOOKS = 3
MOST_HUNG_ASKS = 6
ASK_AGAIN_S = 60.0
_SHARES = (0.4, 0.3)  # of the deadline, for each attempt to ask all QEMUs


@dataclass(frozen=True, slots=True)
class LocalSources:
    """What a collector on the host itself can add to what libvirt says; each is called at a look."""

    usage: Callable[[], HostUsage]
    shared_mounts: Callable[[], tuple[str, ...]] = tuple
    owners: Callable[[], Mapping[str, str]] = dict
    networks: Callable[[], tuple[str, ...] | None] = lambda: None
    kill_switch: Callable[[], bool] = bool
    migration_tls: Callable[[], bool | None] = lambda: None
    signs_of_failing: Callable[[], tuple[str, ...]] = tuple


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
    local_disks: LocalDisks = LocalDisks.STAY


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
        self._definitions = Definitions(host_id, options.local_disks)
        self._counters: dict[str, Counters] = {}
        self._stats: dict[str, Mapping[str, object]] = {}
        self._host: tuple[float, ReadHost] | None = None
        self._node: tuple[float, NodeTimes] | None = None
        self._ask_again_s = 0.0
        self._counted_s: float | None = None
        self._silent_looks: dict[str, int] = {}
        self._began_s = 0.0
        self._warnings: list[str] = []

    @property
    def host(self) -> str:
        return self._host_id

    @property
    def on_its_host(self) -> bool:
        """It runs on the host itself, and asks the machine's kernel, too."""
        return self._local is not None

    def collect(self) -> Observation:
        """Look once; the first time twice, since rates need it. `HostUnreachableError` when libvirt does not answer."""
        try:
            if self._counted_s is None:
                self._look()
            if self._counted_s is not None:
                self._clock.sleep(self._counted_s + LEAST_GAP_S - self._clock.monotonic_s())
            return self._look()
        except LibvirtError as error:
            # libvirt is there but will not say (no rights, a driver that fails): to a plan that is the same as silence.
            raise HostUnreachableError(str(error)) from None

    def close(self) -> None:
        self._connection.close()

    def _look(self) -> Observation:
        self._began_s, self._warnings = self._clock.monotonic_s(), []
        domains = self._read_guests()
        taken_at, at_s = self._clock.now(), self._clock.monotonic_s()
        host = self._read_host()
        self._definitions.refresh(
            domains.active,
            lambda: self._shared_storage(host),
            self._clock.monotonic_s(),
            lambda what, function: self._connection.call(what, function, self._left_s()),
        )
        # What QEMU last said of its memory and disks stands while it is busy; its counters do not.
        self._stats = {
            uuid: domain.stats if domain.answered else self._stats.get(uuid, domain.stats)
            for uuid, domain in domains.active.items()
        }
        self._count_silent_looks(domains.active)
        before, self._counters = self._counters, {}
        self._counted_s = at_s
        guests = []
        for uuid, domain in sorted(domains.active.items()):
            if uuid not in self._definitions:
                continue  # It ended between the calls.
            self._counters[uuid] = counters(domain.stats, domain.domain_id, at_s)
            guests.append(self._guest(domain, before.get(uuid), host))
        self._sample_dirty_rate(domains.active)
        signs = self._local.signs_of_failing() if self._local is not None else ()
        self._warnings.extend(f"it fails: {sign}" for sign in signs)
        return Observation(
            taken_at=taken_at,
            host=replace(self._host_facts(host, taken_at, guests), failing=bool(signs)),
            usage=self._usage(guests, host, at_s),
            guests=tuple(guests),
            inactive=domains.inactive,
            warnings=tuple(self._warnings),
            kill_switch=self._local is not None and self._local.kill_switch(),
        )

    def _read_guests(self) -> RunningDomains:
        """Make the bulk call; again on a new connection when a QEMU hangs, aside from all QEMUs as a last resort."""
        known = set(self._definitions.runs())
        pending = self._dirty.pending is not None
        for share in _SHARES if self._may_ask() else ():
            try:
                return self._connection.call(
                    "list its guests",
                    lambda connection: reading.read_guests(connection, known, dirty_rate=pending),
                    self._left_s(share),
                )
            except DeadlineError:
                continue
        domains = self._connection.call(
            "list its guests without asking their QEMUs",
            lambda connection: reading.read_guests_aside(connection, known),
            self._left_s(),
        )
        self._ask_again_s = self._clock.monotonic_s() + ASK_AGAIN_S
        self._warnings.append("the QEMU of some guests does not answer: memory and disk figures are old")
        return domains

    def _count_silent_looks(self, active: Mapping[str, RunningDomain]) -> None:
        """Count for how many looks the QEMU of a guest has not answered; only of one that has before."""
        self._silent_looks = {
            uuid: 0 if domain.answered else self._silent_looks[uuid] + 1
            for uuid, domain in active.items()
            if domain.answered or uuid in self._silent_looks
        }

    def _may_ask(self) -> bool:
        """Every hung call keeps a thread here and one in libvirtd, so with many of them QEMUs are asked rarely."""
        return self._connection.hung_calls < MOST_HUNG_ASKS or self._clock.monotonic_s() >= self._ask_again_s

    def _left_s(self, share: float = 1.0) -> float:
        """Seconds that may still be spent on this look; never so few that nothing could answer."""
        left_s = self._options.deadline_s - (self._clock.monotonic_s() - self._began_s)
        return max(0.1, min(left_s, share * self._options.deadline_s))

    def _read_host(self) -> ReadHost:
        now_s = self._clock.monotonic_s()
        if self._host is None or now_s - self._host[0] >= HOST_AGE_S:
            self._host = (now_s, self._connection.call("read its capabilities", reading.read_host, self._left_s()))
        return self._host[1]

    def _shared_storage(self, host: ReadHost) -> SharedStorage:
        mounts = self._local.shared_mounts() if self._local is not None else ()
        return SharedStorage(tuple(sorted({*self._options.shared_paths, *mounts})), host.pools)

    def _guest(self, domain: RunningDomain, before: Counters | None, host: ReadHost) -> Guest:
        known = self._definitions[domain.uuid]
        facts, stats = known.facts, self._stats[domain.uuid]
        now = self._counters[domain.uuid]
        sizes = disk_sizes_mib(stats)
        owners = self._local.owners() if self._local is not None else {}
        condition = Condition(
            state=domain.state,
            reason=domain.reason,
            answering=self._silent_looks.get(domain.uuid, 0) < SILENT_LOOKS,
            persistent=known.read.persistent,
            snapshots=known.read.snapshots,
            job=known.read.job,
            block_job=known.read.block_job,
            owner=owners.get(domain.name),
        )
        copied = copied_disks(facts)
        why_not = (*facts.why_not, *why_not_now(condition))
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
            usage=usage(before, now, memory_used_mib(stats, facts.memory_mib), host.cpus * 1000),
            dirty=self._dirty.known(domain.uuid, domain.domain_id),
            local_disk_mib=sum(sizes.get(disk.target, 0) for disk in facts.local_disks),
            local_disks=tuple(sorted(disk.target for disk in copied)),
            hugepages_mib=facts.hugepages_mib,
            cpu_model=host.abilities.cpu_need(facts.virt_type, facts.cpu_mode, facts.cpu_model),
            machine=facts.machine,
            storage=facts.storage,
            networks=facts.networks,
            # What its own host seems to lack, and runs it all the same, cannot be told of other hosts either.
            needs=tuple(
                sorted(
                    {*facts.needs} - {*unmet(facts.needs, host.abilities.offers)}
                    | {need(POOL, disk.pool) for disk in copied if disk.pool}
                )
            ),
            movable=not why_not,
            why_not="; ".join(why_not) or None,
            priority=facts.metadata.priority,
            labels=facts.metadata.labels,
            migration=facts.metadata.migration,
        )

    def _sample_dirty_rate(self, active: Mapping[str, RunningDomain]) -> None:
        self._dirty.keep_only(active)
        now_s = self._clock.monotonic_s()
        if (pending := self._dirty.pending) is not None:
            period_s = self._dirty.period_of(pending, active[pending].domain_id)
            self._dirty.finished(measured_dirty(active[pending].stats, period_s), now_s)
            return
        candidates = {
            uuid: domain.domain_id
            for uuid, domain in active.items()
            if domain.answered
            and domain.state == RUNNING
            and uuid in self._definitions
            and not self._definitions[uuid].read.job
        }
        guest = self._dirty.next(candidates, now_s)
        if guest is None:
            return
        period_s = self._dirty.period_of(guest, candidates[guest])
        try:
            begun = self._connection.call(
                "measure a dirty rate",
                lambda connection: reading.start_dirty_rate(connection, guest, period_s),
                self._left_s(),
            )
        except HostUnreachableError:
            begun = False  # The look itself is complete; the next one says what is wrong with the host.
        if begun:
            self._dirty.started(guest, candidates[guest], now_s)
        else:
            self._dirty.refused(guest, now_s)

    def _host_facts(self, host: ReadHost, taken_at: datetime, guests: list[Guest]) -> Host:
        options, abilities = self._options, host.abilities
        local_networks = self._local.networks() if self._local is not None else None
        networks = host.networks
        pools = [pool for pool in host.pools.values() if pool.takes_copies]
        free_mib = [pool.available_mib for pool in pools if pool.available_mib is not None]
        if local_networks is not None:
            networks = tuple(sorted({*local_networks, *(networks or ())}))
        return Host(
            id=self._host_id,
            cpu_millicores=options.cpu_millicores or host.cpus * 1000,
            memory_mib=options.memory_mib or host.memory_mib,
            net_mbit_s=options.net_mbit_s,
            disk_mib_s=options.disk_mib_s,
            hugepages_mib=abilities.hugepages_mib,
            # The roomiest pool; that of each disk is looked at right before its move.
            local_disk_mib=max(free_mib) + sum(guest.local_disk_mib for guest in guests) if free_mib else None,
            migration_mbit_s=options.migration_mbit_s,
            measured_at=taken_at,
            cpu_models=abilities.cpu_models,
            machines=abilities.machines,
            storage=options.storage,
            networks=networks,
            libvirt_version=host.libvirt_version,
            qemu_version=host.qemu_version,
            migration_tls=None if self._local is None else self._local.migration_tls(),
            offers=tuple(sorted({*abilities.offers, *(need(POOL, str(PurePosixPath(pool.target))) for pool in pools)})),
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
