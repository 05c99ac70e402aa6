"""Small clusters with known loads, for tests of the judges: their courses are made by hand."""

from __future__ import annotations

import numpy as np

from benchmarks.thirty_days.course import ASLEEP, GOING_DOWN, ON, WAKING, PowerChange
from benchmarks.thirty_days.load import Weeks
from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel

CURVE = ((0.0, 100.0), (1.0, 200.0))


def host(number: int, cores: int = 10, memory_mib: int = 1000) -> Host:
    """Return a host named `h0`, `h1`, ...: 100 W idle, 200 W full, 10 W asleep, a minute to wake and to sleep."""
    power = PowerModel(controllable=True, watts=CURVE, sleep_watts=10.0, wake_s=60.0, sleep_s=60.0)
    return Host(id=f"h{number}", cpu_millicores=cores * 1000, memory_mib=memory_mib, power=power)


def weeks(homes: list[int], millicores: list[int], hosts: int = 3, slots: int = 12, memory_mib: int = 300) -> Weeks:
    """Return a cluster of equal hosts, the guests on `homes` wanting `millicores` all the time."""
    guests = tuple(
        Guest(id=f"g{i}", host=f"h{home}", vcpus=10, memory_mib=memory_mib, usage=Usage(millicores[i]))
        for i, home in enumerate(homes)
    )
    wanted = np.repeat(np.array(millicores, dtype=np.int64)[:, None], slots, axis=1)
    return Weeks(tuple(host(i) for i in range(hosts)), guests, wanted, 0)


def night(number: int, from_s: float, to_s: float) -> list[PowerChange]:
    """Return a host's sleep: going down and waking take a minute each."""
    return [
        PowerChange(from_s, number, GOING_DOWN),
        PowerChange(from_s + 60, number, ASLEEP),
        PowerChange(to_s - 60, number, WAKING),
        PowerChange(to_s, number, ON),
    ]
