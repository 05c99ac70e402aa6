"""The cluster of Beloglazov and Buyya (2012): 800 hosts of two kinds, guests of four, and where they begin.

MIPS stand as millicores, so that a host of two cores of 1860 MIPS has 3720 of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel, PowerState
from simulator.clock import SimClock
from simulator.guests import SimGuest
from simulator.loads import FloatArray, LoadMatrix
from simulator.migration import Physics
from simulator.network import UnsharedNetwork
from simulator.world import Ledger, World

HOSTS = 800
CORES = 2
LINK_MBIT_S = 8 * 125 * 1.048576
"""1 Gbit/s, which moves 125 of the units that memory is given in (called MB there, MiB here) each second."""
HOST_MIB = 4096
CORE_MIPS = (1860.0, 2660.0)
"""Of a core, of hosts with even index (HP ProLiant ML110 G4) and odd index (G5)."""
WATTS = (
    (86, 89.4, 92.6, 96, 99.5, 102, 106, 108, 112, 114, 117),
    (93.7, 97, 101, 105, 110, 116, 121, 125, 129, 133, 135),
)
"""At 0, 10, ... 100 % load (SPECpower_ssj2008)."""
GUEST_MIPS = (2500.0, 2000.0, 1000.0, 500.0)
GUEST_MIB = (870, 1740, 1740, 613)

MANY_MIB = 10**7
"""Memory of a host where RAM is ignored."""

LINK_SHARE = 0.5
"""What a migration has of a link, whatever else crosses it."""

FIRST_S = 300.0
"""When the first decision falls, and counting begins: CloudSim's first interval draws nothing and asks for nothing."""

AT_ONCE = Physics(setup_s=0.0, switch_s=0.0, least_pass_s=0.0)


def kinds(guests: int) -> list[int]:
    """Return the kind of each guest: equal parts of each, in order."""
    return [number // math.ceil(guests / 4) for number in range(guests)]


def wanted_mips(use: FloatArray) -> FloatArray:
    """Return what guests want [guest, slot], in MIPS, from their use [guest, slot] as ratios."""
    most: FloatArray = np.array([GUEST_MIPS[kind] for kind in kinds(len(use))])
    return use * most[:, None]


def core_mips() -> FloatArray:
    """Return what a core of each host gives [host]."""
    return np.array([CORE_MIPS[number % 2] for number in range(HOSTS)])


def curve(host: int) -> tuple[tuple[float, float], ...]:
    """Return a host's power curve."""
    return tuple((number / 10, float(watts)) for number, watts in enumerate(WATTS[host % 2]))


def begin(guests: int) -> list[int]:
    """Return the host of each guest at the start: by power-aware best fit, guests in order, all at full demand.

    A guest needs its whole MIPS within the threshold of 80 % (the first on a host only on its cores), a core as fast
    as it, and its memory. It goes where power would then be least above that of an idle host of the kind, as figures of
    what hosts draw are not renewed between two guests: so they spread.
    """
    cpu, mib, taken = [0.0] * HOSTS, [0] * HOSTS, []
    power = [[watts for _, watts in curve(host)] for host in range(HOSTS)]
    grid = [number / 10 for number in range(11)]
    for kind in kinds(guests):
        best: tuple[float, int] | None = None
        for host in range(HOSTS):
            core = CORE_MIPS[host % 2]
            after = cpu[host] + GUEST_MIPS[kind]
            whole = CORES * core
            fits = GUEST_MIPS[kind] <= core and after <= whole and mib[host] + GUEST_MIB[kind] <= HOST_MIB
            if not fits or (cpu[host] > 0 and after > 0.8 * whole):
                continue
            rise = float(np.interp(after / whole, grid, power[host])) - power[host][0]
            if best is None or rise < best[0]:
                best = rise, host
        if best is None:
            raise ValueError(f"{guests} guests do not fit on {HOSTS} hosts")
        taken.append(best[1])
        cpu[best[1]] += GUEST_MIPS[kind]
        mib[best[1]] += GUEST_MIB[kind]
    return taken


def world(
    use: FloatArray,
    day: str,
    places: Sequence[int],
    ledgers: Sequence[Ledger],
    *,
    with_ram: bool = False,
    wake_s: float = 0.0,
    sleep_s: float = 0.0,
    sleep_watts: float = 0.0,
    empty_asleep: bool = True,
) -> tuple[World, SimClock]:
    """Return the pretend cluster of a day with its clock, guests at their places, RAM counted only if asked for.

    Hosts without a guest begin asleep, unless told otherwise.
    """
    clock = SimClock(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC))
    used = set(places)
    hosts = [
        Host(
            id=host_id(number),
            cpu_millicores=round(CORES * CORE_MIPS[number % 2]),
            memory_mib=HOST_MIB if with_ram else MANY_MIB,
            migration_mbit_s=LINK_MBIT_S,
            labels={"kind": ("G4", "G5")[number % 2]},
            power=PowerModel(
                state=PowerState.ASLEEP if empty_asleep and number not in used else PowerState.ON,
                controllable=True,
                watts=curve(number),
                sleep_watts=sleep_watts,
                wake_s=wake_s,
                sleep_s=sleep_s,
            ),
        )
        for number in range(HOSTS)
    ]
    loads = LoadMatrix(wanted_mips(use), linear=True).loads()
    guests = [
        SimGuest(
            Guest(
                id=guest_id(number),
                host=host_id(places[number]),
                vcpus=math.ceil(GUEST_MIPS[kind] / 1000),
                memory_mib=GUEST_MIB[kind],
                usage=Usage(None, memory_mib=GUEST_MIB[kind]),
                name=guest_id(number),
            ),
            loads[number],
        )
        for number, kind in enumerate(kinds(len(use)))
    ]
    return (
        World(
            hosts,
            guests,
            clock,
            physics=AT_ONCE,
            load_start_s=0.0,
            sample_s=300.0,
            ledgers=ledgers,
            network=UnsharedNetwork({host.id: LINK_MBIT_S for host in hosts}, LINK_SHARE),
        ),
        clock,
    )


def host_id(number: int) -> str:
    """Return the name of a host."""
    return f"h{number:03}"


def guest_id(number: int) -> str:
    """Return the name of a guest."""
    return f"vm{number:04}"
