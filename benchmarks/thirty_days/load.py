"""Clusters with weekly load, made from a seed: hosts of four kinds, and what every guest wants in each 5-minute slot.

Most guests follow office hours, some the evenings, some hardly anything; some work at night, some whenever somebody
builds software. Guests of one application share part of their noise, so their sum is not as calm as their number
suggests. Four weeks of history come before the days that are measured; in those days there are surprises that no
history knows: an application at full load for up to an hour and a half, a working day on which nobody comes, and a
busier day. The same arguments give the same cluster.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from benchmarks.integers import IntArray
from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel, Reserved

SLOT_S = 300
DAY_SLOTS = 86400 // SLOT_S
START = datetime(2026, 11, 2, tzinfo=UTC)
"""Midnight of a Monday: when the measured days begin."""

_NAMES = uuid.UUID("0b7e3a52-94a5-5f0e-8d1b-7d5f4c1f9a30")
_RACKS = 5
_APP_GUESTS = 6

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HostKind:
    """A server model: threads that guests may use, memory, watts at 0, 10, ... 100 % load, and its sleep."""

    name: str
    cores: int
    memory_gib: int
    watts: tuple[float, ...]
    sleep_watts: float
    wake_s: float
    sleep_s: float


# The watts are the SPECpower_ssj2008 results of Dell R720 (2x E5-2660), R730 (2x E5-2699v4), R740 (2x Platinum 8280)
# and R7515 (EPYC 7742); what they draw and take to suspend and resume is typical of servers of their age.
KINDS = (
    HostKind("r720", 32, 192, (52.3, 75.4, 86.6, 98.3, 112, 124, 140, 161, 178, 201, 231), 9.0, 120.0, 25.0),
    HostKind("r730", 44, 256, (44.6, 84.8, 102, 120, 136, 150, 163, 181, 205, 238, 272), 8.0, 150.0, 30.0),
    HostKind("r740", 56, 384, (49.8, 114, 137, 159, 182, 208, 240, 277, 319, 376, 432), 11.0, 180.0, 40.0),
    HostKind("r7515", 64, 512, (99.5, 117, 130, 141, 151, 164, 186, 205, 220, 236, 246), 12.0, 240.0, 45.0),
)


@dataclass(frozen=True, slots=True)
class Weeks:
    """Hosts, guests (on the hosts where they are at the start) and `wanted` [guest, slot] in millicores.

    Slot 0 is the first of the history; the measured days begin at slot `history_slots`, which is the moment `start`.
    """

    hosts: tuple[Host, ...]
    guests: tuple[Guest, ...]
    wanted: IntArray
    history_slots: int
    start: datetime = START

    @property
    def measured(self) -> IntArray:
        """What is wanted in the measured days [guest, slot]."""
        return self.wanted[:, self.history_slots :]

    @property
    def history(self) -> IntArray:
        """What was wanted before [guest, slot]."""
        return self.wanted[:, : self.history_slots]

    @property
    def duration_s(self) -> float:
        """Length of the measured days."""
        return float(self.measured.shape[1] * SLOT_S)


def weekly(
    seed: int,
    hosts: int = 40,
    guests: int = 360,
    days: int = 30,
    history_days: int = 28,
    cpu_fill: float = 0.45,
    memory_fill: float = 0.30,
) -> Weeks:
    """Return a cluster under weekly load.

    `cpu_fill` is the share of all CPU that the guests together want in a usual busy hour of a working day,
    `memory_fill` the share of all memory that they hold.
    """
    dice = np.random.default_rng(seed)
    all_hosts = make_hosts(hosts)
    slots = (history_days + days) * DAY_SLOTS
    first = history_days * DAY_SLOTS
    apps = [_App(dice, slots, first) for _ in range(-(-guests // _APP_GUESTS))]
    shapes = [apps[i // _APP_GUESTS].guest_shape(dice) for i in range(guests)]
    vcpus = np.array(dice.choice((1, 2, 2, 3, 3, 4), guests), dtype=np.int64)
    wanted = np.array([shape * 1000.0 * cores for shape, cores in zip(shapes, vcpus, strict=True)])
    _surprises(dice, wanted, vcpus, first)
    busy = float(np.quantile(wanted[:, :first].sum(axis=0) if first else wanted.sum(axis=0), 0.97))
    scale = cpu_fill * sum(host.cpu_millicores for host in all_hosts) / busy
    # More cores for all where the guests are few: a guest never wants more than it has.
    vcpus = np.maximum(1, np.ceil(vcpus * scale)).astype(np.int64)
    wanted = np.minimum(wanted * scale, 1000.0 * vcpus[:, None])
    memory = _memory(dice, vcpus, memory_fill * sum(host.memory_mib for host in all_hosts))
    millicores = np.maximum(5, np.rint(wanted)).astype(np.int64)
    return spread(all_hosts, _guests(seed, vcpus, memory), millicores, first)


def make_hosts(count: int) -> tuple[Host, ...]:
    """Return hosts of all kinds in equal parts, dealt over the racks."""
    return tuple(_host(number, KINDS[number * len(KINDS) // count]) for number in range(count))


def spread(hosts: tuple[Host, ...], guests: tuple[Guest, ...], wanted: IntArray, history_slots: int) -> Weeks:
    """Return the cluster with its guests spread evenly, by memory and by their busiest hours."""
    cpu_room = np.array([host.cpu_millicores for host in hosts], dtype=np.float64)
    memory_room = np.array([host.memory_mib - host.reserved.memory_mib for host in hosts], dtype=np.float64)
    cpu, memory = np.zeros(len(hosts)), np.zeros(len(hosts))
    busy = np.quantile(wanted, 0.95, axis=1)
    placed = []
    for one in np.argsort(-busy, kind="stable").tolist():
        guest = guests[one]
        full = np.maximum((cpu + busy[one]) / cpu_room, (memory + guest.memory_demand_mib) / memory_room)
        host = int(full.argmin())
        cpu[host] += busy[one]
        memory[host] += guest.memory_demand_mib
        placed.append((one, replace(guest, host=hosts[host].id, usage=Usage(int(wanted[one, history_slots])))))
    return Weeks(hosts, tuple(guest for _, guest in sorted(placed, key=lambda pair: pair[0])), wanted, history_slots)


def _host(number: int, kind: HostKind) -> Host:
    return Host(
        id=f"{kind.name}-{number + 1:02d}",
        cpu_millicores=kind.cores * 1000,
        memory_mib=kind.memory_gib * 1024,
        reserved=Reserved(cpu_millicores=1000, memory_mib=max(4096, kind.memory_gib * 1024 * 3 // 100)),
        migration_mbit_s=10000.0,
        domains={"rack": f"r{number % _RACKS + 1}"},
        labels={"kind": kind.name},
        power=PowerModel(
            controllable=True,
            watts=tuple((load / 10, float(watts)) for load, watts in enumerate(kind.watts)),
            sleep_watts=kind.sleep_watts,
            wake_s=kind.wake_s,
            sleep_s=kind.sleep_s,
        ),
    )


def _guests(seed: int, vcpus: IntArray, memory: IntArray) -> tuple[Guest, ...]:
    return tuple(
        Guest(
            id=str(uuid.uuid5(_NAMES, f"{seed}/{i}")),
            name=f"app{i // _APP_GUESTS + 1:02d}-{i % _APP_GUESTS + 1}",
            host="",
            vcpus=int(cores),
            memory_mib=int(mib),
            overhead_mib=256,
            usage=Usage(cpu_millicores=None),
            labels={"app": f"app{i // _APP_GUESTS + 1:02d}"},
        )
        for i, (cores, mib) in enumerate(zip(vcpus, memory, strict=True))
    )


def _memory(dice: np.random.Generator, vcpus: IntArray, total_mib: float) -> IntArray:
    wish = vcpus * dice.choice((1.0, 2.0, 2.0, 4.0), len(vcpus))
    memory: IntArray = np.maximum(1024, np.rint(wish * total_mib / wish.sum() / 256) * 256).astype(np.int64)
    return memory


class _App:
    """What the guests of one application have in common: the hours they keep and a share of their noise."""

    def __init__(self, dice: np.random.Generator, slots: int, first: int) -> None:
        hours = np.arange(slots) * SLOT_S / 3600.0
        # The history ends where the measured days begin, on a Monday.
        weekday = ((np.arange(slots) - first) // DAY_SLOTS) % 7
        kind = int(dice.choice(len(_HOURS), p=_SHARES))
        self._base = _HOURS[kind](dice, hours % 24.0, weekday)
        if kind == _OFFICE and slots - first > 8 * DAY_SLOTS:
            off = first + 3 * DAY_SLOTS  # a holiday on the first Thursday
            self._base[off : off + DAY_SLOTS] *= 0.35
        busier = first + 8 * DAY_SLOTS  # and more to do on the second Tuesday
        self._base[busier : busier + DAY_SLOTS] *= 1.15
        day_by_day = np.repeat(dice.normal(1.0, 0.05, -(-slots // DAY_SLOTS)), DAY_SLOTS)[:slots]
        self._base *= np.clip(day_by_day, 0.8, 1.2) * (1 + 0.08 * _drift(dice, slots, 0.97))
        self._slots = slots

    def guest_shape(self, dice: np.random.Generator) -> FloatArray:
        """Return a guest's load as a share of its vCPUs [slot]."""
        level = dice.uniform(0.5, 1.2)
        noise = 1 + 0.12 * _drift(dice, self._slots, 0.8) + 0.06 * dice.normal(size=self._slots)
        shape: FloatArray = np.clip(self._base * level * noise, 0.004, 1.0)
        return shape


def _drift(dice: np.random.Generator, slots: int, keeps: float) -> FloatArray:
    """Return a mean-reverting walk of standard deviation 1 [slot]."""
    steps = dice.normal(scale=(1 - keeps**2) ** 0.5, size=slots)
    # The sum of steps that fade, over as many as still count.
    fade = keeps ** np.arange(int(np.log(1e-3) / np.log(keeps)) + 1)
    walk: FloatArray = np.convolve(steps, fade)[:slots]
    return walk


def _rise(hour: FloatArray, at: float, over: float) -> FloatArray:
    rise: FloatArray = np.clip((hour - at) / over, 0.0, 1.0)
    return rise


def _office(dice: np.random.Generator, hour: FloatArray, weekday: IntArray) -> FloatArray:
    begins, ends = dice.uniform(7.0, 9.0), dice.uniform(17.0, 19.0)
    day = _rise(hour, begins, 1.0) - _rise(hour, ends, 1.5)
    lunch = 1 - 0.2 * np.exp(-(((hour - 12.5) / 0.7) ** 2))
    night, weekend = dice.uniform(0.06, 0.12), dice.uniform(0.1, 0.25)
    shape: FloatArray = (night + (0.6 - night) * day * lunch) * np.where(weekday < 5, 1.0, weekend + (1 - day) * 0.6)
    return shape


def _evening(dice: np.random.Generator, hour: FloatArray, weekday: IntArray) -> FloatArray:
    peak = dice.uniform(19.0, 21.0)
    away = np.abs((hour - peak + 12.0) % 24.0 - 12.0)
    shape: FloatArray = (0.1 + 0.45 * np.exp(-((away / 4.5) ** 2))) * np.where(weekday < 5, 1.0, 1.15)
    return shape


def _steady(dice: np.random.Generator, hour: FloatArray, weekday: IntArray) -> FloatArray:
    return np.full(len(hour), dice.uniform(0.1, 0.3)) * (1 + 0.1 * np.cos((hour - 14) * np.pi / 12))


def _nightly(dice: np.random.Generator, hour: FloatArray, weekday: IntArray) -> FloatArray:
    begins, lasts = dice.uniform(0.5, 3.0), dice.uniform(0.7, 2.5)
    days = np.arange(len(hour)) // DAY_SLOTS
    late = np.clip(dice.normal(0, 0.15, int(days[-1]) + 1), -0.4, 0.4)[days]
    works = (hour >= begins + late) & (hour < begins + lasts + late)
    only_sunday = dice.random() < 0.2
    shape: FloatArray = 0.03 + np.where(works & ((weekday == 6) | (not only_sunday)), 0.75, 0.0)
    return shape


def _builds(dice: np.random.Generator, hour: FloatArray, weekday: IntArray) -> FloatArray:
    """Return short bursts, many at work and few at other times."""
    at_work = (weekday < 5) & (hour >= 8) & (hour < 18)
    shape = np.full(len(hour), 0.03)
    for begin in np.flatnonzero(dice.random(len(hour)) < np.where(at_work, 0.05, 0.004)).tolist():
        shape[begin : begin + int(dice.integers(1, 6))] = dice.uniform(0.5, 0.9)
    return shape


_HOURS: tuple[Callable[[np.random.Generator, FloatArray, IntArray], FloatArray], ...] = (
    _office,
    _evening,
    _steady,
    _nightly,
    _builds,
)
_SHARES = (0.48, 0.2, 0.16, 0.09, 0.07)
_OFFICE = 0


def _surprises(dice: np.random.Generator, wanted: FloatArray, vcpus: IntArray, first: int) -> None:
    """Let single applications go to full load, about one each four days, half of them at night."""
    days = (wanted.shape[1] - first) // DAY_SLOTS
    apps = -(-len(wanted) // _APP_GUESTS)
    for _ in range(max(1, days // 4)):
        app, day = int(dice.integers(apps)), int(dice.integers(days))
        hour = dice.uniform(0, 6) if dice.random() < 0.5 else dice.uniform(8, 22)
        begin = first + day * DAY_SLOTS + int(hour * 3600 / SLOT_S)
        lasts = int(dice.integers(4, 18))
        rows = slice(app * _APP_GUESTS, (app + 1) * _APP_GUESTS)
        for slot in range(begin, min(begin + lasts, wanted.shape[1])):
            share = 0.45 if slot == begin else 0.9
            wanted[rows, slot] = np.maximum(wanted[rows, slot], share * 1000.0 * vcpus[rows])
