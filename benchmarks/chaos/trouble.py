"""The timetable of bad luck: faults of the world, and what befalls or is asked of schedulers at a time. By seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from simulator.faults import Fault, FaultKind


class Verb(StrEnum):
    """What is done at a time."""

    BEGIN = "begin"  # a scheduler comes up
    KILL = "kill"  # a scheduler is killed
    STORE_GONE = "store_gone"  # nobody reaches the store: it restarts
    CUT_OFF = "cut_off"  # one scheduler does not reach it
    FLAG = "flag"  # a person pauses, drains, marks as failing
    UNFLAG = "unflag"
    ABORT = "abort"
    MOVE = "move"  # a person migrates a guest by hand


@dataclass(frozen=True, slots=True)
class Act:
    """One of them; `number` is a scheduler, `name` a guest or a flag."""

    at_s: float
    verb: Verb
    number: int = 0
    name: str = ""
    host: str = ""
    for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a scheduler comes up."""

    at_s: float
    number: int


def draw_faults(random: Random, hosts: Sequence[str], guests: Sequence[str], until_s: float) -> list[Fault]:
    """Return a few faults of the world, at most one host lost for good."""
    found: list[Fault] = []
    if random.random() < 0.25:
        found.append(Fault(random.uniform(5, until_s), FaultKind.HOST_LOST, host=random.choice(hosts)))
    for _ in range(random.randint(0, 4)):
        at_s, host, guest = random.uniform(0, until_s * 0.9), random.choice(hosts), random.choice(guests)
        ratio = random.uniform(0.0, 1.0)
        match random.randrange(9):
            case 0 | 1:
                found.append(Fault(at_s, FaultKind.MIGRATION_FAILS, ratio=ratio))
            case 2:
                found.append(Fault(at_s, FaultKind.SOURCE_DIES, ratio=ratio))
            case 3:
                found.append(Fault(at_s, FaultKind.TARGET_DIES, ratio=ratio))
            case 4:
                found.append(
                    Fault(at_s, FaultKind.HOST_SILENT, host=random.choice(("@source", "@target")), ratio=ratio)
                )
            case 5:
                found.append(Fault(at_s, FaultKind.HOST_SILENT, host=host))
                found.append(Fault(at_s + random.uniform(1, 60), FaultKind.HOST_BACK, host=host))
            case 6:
                found.append(Fault(at_s, FaultKind.AGENT_STOPS, host=host))
                found.append(Fault(at_s + random.uniform(5, 60), FaultKind.AGENT_BACK, host=host))
            case 7:
                found.append(Fault(at_s, FaultKind.MONITOR_HANGS, guest=guest))
                found.append(Fault(at_s + random.uniform(5, 60), FaultKind.MONITOR_BACK, guest=guest))
            case _:
                found.append(Fault(at_s, FaultKind.DIRTY_STORM, guest=guest, factor=200.0, duration_s=30.0))
    if random.random() < 0.1:
        found.append(Fault(random.uniform(0, until_s), FaultKind.GUEST_DIES, guest=random.choice(guests)))
    return found


def draw_acts(
    random: Random, hosts: Sequence[str], guests: Sequence[str], schedulers: int, until_s: float
) -> list[Act]:
    """Return what befalls the schedulers by time, and what people ask for."""
    found: list[Act] = []
    for _ in range(random.randint(0, 4)):
        at_s, number = random.uniform(2, until_s), random.randrange(schedulers)
        for_s = random.choice((1.0, 6.0, 12.0, 25.0, 50.0))
        match random.randrange(8):
            case 0 | 1:
                found.append(Act(at_s, Verb.KILL, number))
            case 2:
                found.append(Act(at_s, Verb.STORE_GONE, for_s=for_s))
            case 3:
                found.append(Act(at_s, Verb.CUT_OFF, number, for_s=for_s))
            case 4:
                flag = random.choice(("paused", f"drain:{random.choice(hosts)}", f"fail:{random.choice(hosts)}"))
                found += [Act(at_s, Verb.FLAG, name=flag), Act(at_s + for_s, Verb.UNFLAG, name=flag)]
            case 5:
                found.append(Act(at_s, Verb.ABORT))
            case _:
                found.append(Act(at_s, Verb.MOVE, name=random.choice(guests), host=random.choice(hosts)))
    return found
