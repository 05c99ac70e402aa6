"""The definitions of a host's guests, read when they are new or old, so that a look stays cheap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from cluster.errors import HostUnreachableError
from cluster.guest import LocalDisks
from collectors.disks import SharedStorage
from collectors.domain_xml import DomainFacts, read_domain
from collectors.libvirt_reading import ReadDomain, RunningDomain, read_definitions, read_jobs

if TYPE_CHECKING:
    import libvirt

T = TypeVar("T")

MOST_AGE_S = 60.0


class Call(Protocol):
    """A call into libvirt within what is left of a look's deadline."""

    def __call__(self, what: str, function: Callable[[libvirt.virConnect], T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition as last read, at `read_s` (monotonic)."""

    domain_id: int
    read_s: float
    read: ReadDomain
    facts: DomainFacts


class Definitions:
    """What is known of each active guest's definition, by uuid."""

    def __init__(self, host_id: str, local_disks: LocalDisks = LocalDisks.STAY) -> None:
        self._host_id = host_id
        self._local_disks = local_disks
        self._known: dict[str, Definition] = {}

    def __getitem__(self, uuid: str) -> Definition:
        return self._known[uuid]

    def __contains__(self, uuid: str) -> bool:
        return uuid in self._known

    def runs(self) -> Iterator[tuple[str, int]]:
        """Return the uuid and libvirt id of each guest known to have been active here."""
        return ((uuid, one.domain_id) for uuid, one in self._known.items())

    def refresh(
        self, active: Mapping[str, RunningDomain], shared: Callable[[], SharedStorage], now_s: float, call: Call
    ) -> None:
        """Read what is new, of another run, or old (not all at one look), and the jobs of guests that had one.

        `HostUnreachableError` when a definition cannot be read: its guest takes room, so it cannot be left out.
        """
        self._known = {uuid: one for uuid, one in self._known.items() if uuid in active}
        wanted = {uuid: not domain.answered for uuid, domain in active.items() if self._is_due(domain, now_s)}
        if wanted:
            read = call("read the definitions of its guests", lambda connection: read_definitions(connection, wanted))
            storage = shared()
            for uuid, definition in read.items():
                self._learn(active[uuid], definition, storage, now_s)
        at_work = [
            uuid for uuid, one in self._known.items() if one.read.job and uuid not in wanted and active[uuid].answered
        ]
        if at_work:
            jobs = call("read the jobs of its guests", lambda connection: read_jobs(connection, at_work))
            for uuid, job in jobs.items():
                one = self._known[uuid]
                self._known[uuid] = replace(one, read=replace(one.read, job=job))

    def _is_due(self, domain: RunningDomain, now_s: float) -> bool:
        one = self._known.get(domain.uuid)
        if one is None or one.domain_id != domain.domain_id:
            return True
        # Guests met together would stay together for ever; the id spreads them over time.
        spread = sum(domain.uuid.encode()) % 64 / 64
        return now_s - one.read_s >= MOST_AGE_S * (1 + spread) / 2

    def _learn(self, domain: RunningDomain, read: ReadDomain, shared: SharedStorage, now_s: float) -> None:
        one = self._known.get(domain.uuid)
        if one is not None and one.read.xml == read.xml:
            facts = one.facts
        else:
            try:
                facts = read_domain(read.xml, shared, self._local_disks)
            except ValueError as error:
                raise HostUnreachableError(
                    f"host {self._host_id}: the definition of guest {domain.name} cannot be read: {error}"
                ) from None
        self._known[domain.uuid] = Definition(domain.domain_id, now_s, read, facts)
