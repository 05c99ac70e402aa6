"""Live migration between libvirt hosts, peer to peer, watched from outside and adoptable by any later process.

The source's libvirtd does the work; the thread kept here only waits for it. Nothing here ever starts, defines or
destroys a guest: a failed migration is left to the two libvirts, and what became of it is for `look` to tell.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from cluster.clock import Clock
from cluster.config.settings import MigrationSettings
from cluster.connections.libvirt_connection import LibvirtConnection, is_remote
from cluster.errors import HostUnreachableError, RefusedError, StepError, UnreachableError
from cluster.migration.ways import End, Way, Ways, choose_ways, downtime_steps_ms
from cluster.plan import Migrate
from executors import libvirt_disks as disks
from executors import libvirt_domain as domains
from executors import libvirt_steering as steering
from executors.ladder import Climbing, Passes
from executors.libvirt_ways import end_of, flags_of, parameters_of
from executors.protocol import MayBegin, Presence, Progress, Sighting, always

if TYPE_CHECKING:
    import libvirt

T = TypeVar("T")

AUTOSTART = "autostart"
BEGIN_WAIT_S = 3.0
"""How long `start` waits to see the job, so that an early refusal is told as such."""
NO_JOB_S = 10.0
"""How long the waiting thread is believed although the source shows no job: preparing and finishing show none."""

MOST_KEPT = 256
"""How many migrations that are over keep their figures here, far more than ever wait to be settled."""


@dataclass(slots=True)
class _Waiting:
    """A migration that a thread of this process waits for. Times are the clock's monotonic seconds."""

    job_seen_s: float
    over: threading.Event = field(default_factory=threading.Event)
    error: str = ""
    last: Progress = Progress(running=True)
    measured: bool = False
    disk_mib: int = 0


class LibvirtMigrationExecutor:
    """Carries out `Migrate` steps over one `LibvirtConnection` per host, by host id.

    `addresses` are the hosts' own addresses for migration traffic; a host without one lets its libvirt choose. `tls`
    says whether migrations of a host can be encrypted (`None`: not known).
    Every call but the waiting thread's ends within its connection's deadline.
    """

    def __init__(
        self,
        connections: Mapping[str, LibvirtConnection],
        addresses: Mapping[str, str],
        settings: MigrationSettings,
        clock: Clock,
        tls: Callable[[str], bool | None] = lambda _host: None,
    ) -> None:
        self._connections = connections
        self._addresses = addresses
        self._settings = settings
        self._clock = clock
        self._tls = tls
        self._waiting: dict[tuple[str, str, str, str], _Waiting] = {}
        self._pool = ThreadPoolExecutor(max_workers=32, thread_name_prefix="look")

    def close(self) -> None:
        """Let go of the threads that look. Migrations under way run on."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- looking ---------------------------------------------------------------------------------------------------
    def look(self, step: Migrate) -> Sighting:
        """See where the guest is, asking all hosts at once; one that does not answer within its deadline is unknown."""
        seen = {host: self._ask(host, step) for host in sorted({*self._connections, step.source, step.target})}
        where = {host: self._seen(future) for host, future in seen.items()}
        silent = tuple(
            host for host in (step.source, step.target) if isinstance(seen[host].exception(), UnreachableError)
        )
        source, target = where.pop(step.source), where.pop(step.target)
        active = (Presence.RUNNING, Presence.LEAVING)
        elsewhere = tuple(host for host, presence in where.items() if presence in active)
        answering = target is not Presence.RUNNING or self._answers(step)
        return Sighting(source, target, elsewhere, answering, silent)

    def _ask(self, host: str, step: Migrate) -> Future[Presence]:
        waiting = Presence.ARRIVING if host == step.target else Presence.LEAVING
        return self._pool.submit(
            self._call, host, "see the guest", lambda c: domains.presence(c, step.guest, waiting=waiting)
        )

    def _seen(self, future: Future[Presence]) -> Presence:
        try:
            return future.result()
        except (UnreachableError, StepError):
            return Presence.UNKNOWN

    def _answers(self, step: Migrate) -> bool:
        try:
            return self._call(step.target, "hear the guest's QEMU", lambda c: domains.answers(c, step.guest))
        except (UnreachableError, StepError):
            return False

    # -- moving ----------------------------------------------------------------------------------------------------
    def start(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin = always) -> None:
        """Begin the migration after a last check of the target; `RefusedError` when it says no."""
        self._start(step, limit_mib_s, may_begin, again=False)

    def start_again(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin) -> None:
        """Begin the second try of one that did not converge, with the ways that are for that."""
        self._start(step, limit_mib_s, may_begin, again=True)

    def _start(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin, *, again: bool) -> None:
        waiting = self._waiting.get(_key(step))
        if waiting is not None and not waiting.over.is_set():
            raise RefusedError(f"{step.guest_name or step.guest}: its migration is already under way")
        flags, parameters, to = self._prepare(step, limit_mib_s, again)
        self._forget_old()
        waiting = self._waiting[_key(step)] = _Waiting(self._clock.monotonic_s())

        def begin(connection: libvirt.virConnect) -> None:
            domain = connection.lookupByUUIDString(step.guest)
            # Coming this far may have taken long: a host that hung, a process that was stopped.
            if not may_begin():
                raise RefusedError("not begun: it was given up, or another scheduler leads now")
            domain.migrateToURI3(to, parameters, flags)

        threading.Thread(
            target=self._migrate, args=(step, waiting, begin), name=f"migrate {step.id}", daemon=True
        ).start()
        deadline_s = self._clock.monotonic_s() + BEGIN_WAIT_S
        while not waiting.over.wait(0.05) and self._clock.monotonic_s() < deadline_s:
            with suppress(UnreachableError, StepError):
                if self._job(step).out:
                    return
        if waiting.error:
            raise StepError(waiting.error)

    def _forget_old(self) -> None:
        over = [key for key, waiting in self._waiting.items() if waiting.over.is_set()]
        for key in over[:-MOST_KEPT]:
            del self._waiting[key]

    def _prepare(self, step: Migrate, limit_mib_s: int, again: bool) -> tuple[int, dict[str, Any], str]:
        """Check both ends and set the first allowed downtime. Whatever goes wrong here, nothing was begun."""
        import libvirt

        try:
            to = self._connection(step.target).uri
            if not is_remote(to):
                raise RefusedError(
                    f"host {step.target}: its libvirt URI {to} names no machine that {step.source} could reach: "
                    "set uri of its [[hosts]] entry to one like qemu+ssh://HOST/system"
                )
            facts = self._facts(step)
            why = self._call(step.target, "check for room", lambda c: domains.why_not_here(c, step.guest, facts))
            if why is not None:
                raise RefusedError(f"host {step.target}: {why}")
            ways = self._ways(step, facts, again)
            if ways.refusal:
                raise RefusedError(ways.refusal)
            if step.local_disks:
                self._check_disks(step)
            first_ms = downtime_steps_ms(facts.policy.max_downtime_ms, self._settings.downtime_steps)[0]
            self.allow_downtime(step, first_ms)
        except (UnreachableError, StepError) as error:
            raise RefusedError(f"not begun: {error}") from None
        flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        if facts.persistent:
            flags |= libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
        parameters = parameters_of(ways)
        if step.local_disks:
            parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(step.local_disks)
            # Each disk's copy has this limit, and all go at once.
            limit_mib_s = max(1, limit_mib_s // len(step.local_disks)) if limit_mib_s else 0
        if limit_mib_s:
            parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = limit_mib_s
            parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY] = limit_mib_s
        if address := self._addresses.get(step.target, ""):
            parameters[libvirt.VIR_MIGRATE_PARAM_URI] = f"tcp://[{address}]" if ":" in address else f"tcp://{address}"
        return flags | flags_of(ways), parameters, to

    def _check_disks(self, step: Migrate) -> None:
        copied = self._call(step.source, "read its disks", lambda c: disks.local_disks(c, step.guest, step.local_disks))
        why = self._call(step.target, "check for room for its disks", lambda c: disks.why_no_place(c, copied))
        if why is not None:
            raise RefusedError(f"host {step.target}: {why}")

    def _facts(self, step: Migrate) -> domains.GuestFacts:
        return self._call(step.source, "read the guest", lambda c: domains.facts(c, step.guest))

    def _ways(self, step: Migrate, facts: domains.GuestFacts, again: bool) -> Ways:
        source, target = self._end(step.source), self._end(step.target)
        return choose_ways(
            facts.policy, self._settings, source, target, again=again, local_disks=bool(step.local_disks)
        )

    def _end(self, host: str) -> End:
        return self._call(host, "say its versions", lambda c: end_of(c, host, self._tls(host)))

    def _migrate(self, step: Migrate, waiting: _Waiting, begin: Callable[[libvirt.virConnect], None]) -> None:
        """Wait for the source to carry the migration out, on a connection of its own so that nothing else waits."""
        shared = self._connection(step.source)
        longest_s = 2 * self._settings.timeout_s + 600.0
        own = LibvirtConnection(shared.uri, longest_s, self._clock, name=step.source)
        try:
            own.call(f"migrate the guest to {step.target}", begin)
        except (UnreachableError, StepError, RefusedError) as error:
            waiting.error = str(error)
        finally:
            own.close()
            waiting.over.set()

    def poll(self, step: Migrate) -> Progress:
        """Say how far the migration is, from the source's job, whoever began it."""
        waiting = self._waiting.get(_key(step))
        if waiting is not None and waiting.over.is_set():
            return self._final(step, waiting)
        view = self._job(step)
        now_s = self._clock.monotonic_s()
        if view.out:
            progress = Progress(True, view.ratio, view.mib, postcopy=view.postcopy)
            if waiting is not None:
                waiting.job_seen_s, waiting.last = now_s, progress
                waiting.disk_mib = max(waiting.disk_mib, view.disk_mib)
            return progress
        if waiting is None:
            return Progress(running=False)
        if waiting.over.is_set():
            return self._final(step, waiting)
        if now_s - waiting.job_seen_s < NO_JOB_S:
            return waiting.last
        return replace(waiting.last, running=False, error=f"host {step.source} shows no migration of the guest")

    def set_limit(self, step: Migrate, limit_mib_s: int) -> None:
        """Change the running migration's bandwidth cap, of its post-copy phase, too."""
        self._call(step.source, "set its bandwidth", lambda c: domains.set_bandwidth(c, step.guest, limit_mib_s))

    def abort(self, step: Migrate) -> None:
        """Stop the migration, unless none is under way or it is in post-copy."""
        self._call(step.source, "stop the migration", lambda c: domains.abort(c, step.guest))

    # -- helping one that does not converge ------------------------------------------------------------------------
    def climbing(self, step: Migrate) -> Climbing:
        """Say what guest, cluster and both ends allow; the same for every process with the same configuration."""
        facts = self._facts(step)
        # What the first try copied of its disks stands in the way of a second one.
        first, second = (self._ways(step, facts, again and not step.local_disks) for again in (False, True))
        return Climbing(
            downtimes_ms=downtime_steps_ms(facts.policy.max_downtime_ms, self._settings.downtime_steps),
            postcopy=Way.POSTCOPY in first.used,
            throttles=Way.AUTO_CONVERGE in first.used,
            second_try=" and ".join(sorted(second.used - first.used)),
            second_throttles=Way.AUTO_CONVERGE in second.used,
        )

    def passes(self, step: Migrate) -> Passes | None:
        """Read the running migration's passes from its source."""
        return self._job(step).passes

    def allow_downtime(self, step: Migrate, downtime_ms: int) -> None:
        """Set the allowed downtime of the guest's migration, running or next."""
        self._call(step.source, "set its downtime", lambda c: steering.allow_downtime(c, step.guest, downtime_ms))

    def start_postcopy(self, step: Migrate) -> None:
        """Let the guest go on at its target, the rest of its memory following."""
        self._call(step.source, "switch to post-copy", lambda c: steering.start_postcopy(c, step.guest))

    def _final(self, step: Migrate, waiting: _Waiting) -> Progress:
        """Give the figures of a migration that is over; the target keeps those of one that went well."""
        last = waiting.last
        if not waiting.error and not waiting.measured:
            with suppress(UnreachableError, StepError):
                view = self._call(step.target, "read its statistics", lambda c: domains.completed(c, step.guest))
                mib = view.mib + waiting.disk_mib if view.mib else last.mib
                waiting.last = last = Progress(True, 1.0, mib, view.downtime_ms, seconds=view.seconds)
                waiting.measured = True
        return Progress(False, last.ratio, last.mib, last.downtime_ms, waiting.error, seconds=last.seconds)

    # -- what libvirt does not carry over --------------------------------------------------------------------------
    def left_behind(self, step: Migrate) -> str:
        """Say whether the guest is started with its host."""

        def read(connection: libvirt.virConnect) -> bool:
            domain = domains.find(connection, step.guest)
            return domain is not None and bool(domain.isPersistent()) and bool(domain.autostart())

        return AUTOSTART if self._call(step.source, "read autostart", read) else ""

    def bring_along(self, step: Migrate, what: str) -> None:
        """Have the guest started with its new host."""
        if what == AUTOSTART:
            self._call(step.target, "set autostart", lambda c: c.lookupByUUIDString(step.guest).setAutostart(1))

    # -- hosts -----------------------------------------------------------------------------------------------------
    def _job(self, step: Migrate) -> domains.JobView:
        return self._call(step.source, "read the migration's job", lambda c: domains.job(c, step.guest))

    def _connection(self, host: str) -> LibvirtConnection:
        connection = self._connections.get(host)
        if connection is None:
            raise HostUnreachableError(f"host {host}: no libvirt URI is configured: add a [[hosts]] entry with its uri")
        return connection

    def _call(self, host: str, what: str, function: Callable[[libvirt.virConnect], T]) -> T:
        return self._connection(host).call(what, function)


def _key(step: Migrate) -> tuple[str, str, str, str]:
    """Name a migration beyond its plan, whose step ids other plans use too."""
    return step.id, step.guest, step.source, step.target
