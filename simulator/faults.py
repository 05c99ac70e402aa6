"""Bad days as data: what goes wrong in a pretend cluster, and when. `simulator.mishaps` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What can go wrong (or right again). Each value's line says what it needs."""

    HOST_LOST = "host_lost"  # host: power cut; what runs there dies
    HOST_SILENT = "host_silent"  # host: nobody can reach it, its guests and their migrations run on
    HOST_BACK = "host_back"  # host: reachable again; after a power cut it is on and empty
    MIGRATION_FAILS = "migration_fails"  # ratio (and guest): the migration ends, the guest stays
    SOURCE_DIES = "source_dies"  # ratio (and guest): the QEMU on the source dies in mid-migration
    TARGET_DIES = "target_dies"  # ratio (and guest): the QEMU on the target dies in mid-migration
    GUEST_DIES = "guest_dies"  # guest: its QEMU dies where it runs
    GUEST_STARTS = "guest_starts"  # guest, host: somebody starts it by hand, wherever it may be running already
    MONITOR_HANGS = "monitor_hangs"  # guest: it runs on, but its QEMU answers nobody
    MONITOR_BACK = "monitor_back"  # guest
    AGENT_STOPS = "agent_stops"  # host: its last report is all there is, while the host itself answers
    AGENT_BACK = "agent_back"  # host
    DIRTY_STORM = "dirty_storm"  # guest, factor, duration_s: it writes memory this many times as fast
    WAKE_FAILS = "wake_fails"  # host, count: its next wake attempts end asleep
    SLEEP_FAILS = "sleep_fails"  # host, count: its next sleep attempts end on
    KILL_SWITCH_SET = "kill_switch_set"  # host: somebody puts the kill switch's file there
    KILL_SWITCH_GONE = "kill_switch_gone"  # host
    LINK_CHANGES = "link_changes"  # host, mbit_s: its migration link, both ways, has this much from now on


NEED_GUEST = frozenset(
    {
        FaultKind.GUEST_DIES,
        FaultKind.GUEST_STARTS,
        FaultKind.MONITOR_HANGS,
        FaultKind.MONITOR_BACK,
        FaultKind.DIRTY_STORM,
    }
)
IN_FLIGHT = frozenset({FaultKind.MIGRATION_FAILS, FaultKind.SOURCE_DIES, FaultKind.TARGET_DIES})
NEED_HOST = (frozenset(FaultKind) - NEED_GUEST - IN_FLIGHT) | {FaultKind.GUEST_STARTS}

SOURCE = "@source"
TARGET = "@target"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mishap, `at_s` seconds after the world began.

    With a `ratio` it waits, from `at_s` on, for a migration (of `guest`, or of any when that is empty) to have sent
    this share of the guest's memory; `host` may then be "@source" or "@target" of that migration.
    """

    at_s: float
    kind: FaultKind
    host: str = ""
    guest: str = ""
    ratio: float | None = None
    factor: float = 10.0
    duration_s: float = 60.0
    count: int = 1
    mbit_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind in NEED_HOST and not self.host:
            raise ValueError(f"fault {self.kind} needs a host")
        if self.kind in NEED_GUEST and not self.guest:
            raise ValueError(f"fault {self.kind} needs a guest")
        if self.kind in IN_FLIGHT and self.ratio is None:
            raise ValueError(f"fault {self.kind} needs a ratio: how much of the memory is sent when it happens")
        if self.host.startswith("@") and (self.ratio is None or self.host not in (SOURCE, TARGET)):
            raise ValueError(f"fault {self.kind}: host {self.host} is known only with a ratio, as {SOURCE} or {TARGET}")
