"""The checker's own value of a plan's goals, from their definitions, and the figures shown before and after."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

from cluster.config.settings import ConsolidateSettings
from cluster.guest import Guest
from cluster.host import Host, PowerState
from cluster.limits import Limits
from cluster.plan import Figures, Sleep, Step, Wake
from cluster.rules import Enforcement
from cluster.snapshot import Snapshot
from scheduler.check.load import demand_of, guests_on, overloads, room_of, use_of
from scheduler.check.rules import broken, count_broken, settled

PRICES = {2: 4.0, 3: 1.0, 4: 0.25, 5: 0.0}
DEFAULT_CURVE = ((0.0, 100.0), (1.0, 300.0))
"""Watts assumed of a host whose curve is not given."""


def repair_value(snapshot: Snapshot, placement: Mapping[str, str], limits: Limits) -> float:
    """Broken rules, plus overload as the sum of excess ratios."""
    excess = sum(over.excess for over in overloads(snapshot, placement, limits))
    return count_broken(snapshot, settled(placement)) + float(excess)


def imbalance(snapshot: Snapshot, placement: Mapping[str, str], hosts: Iterable[str], emptied: Iterable[str]) -> float:
    """I: sum over `hosts` and over CPU and memory of (u - U)^2; U counts guests now on `hosts` and on `emptied`."""
    counted, sources = list(hosts), {*hosts, *emptied}
    on = guests_on(snapshot, placement)
    total = 0.0
    for resource in ("cpu", "memory"):
        rooms = {one: float(room_of(snapshot.host_by_id[one], resource) or 0) for one in counted}
        demand = use_of((guest for guest in snapshot.guests if guest.host in sources), resource)
        if not sum(rooms.values()):
            continue
        mean = demand / sum(rooms.values())
        total += sum((use_of(on[one], resource) / room - mean) ** 2 for one, room in rooms.items() if room)
    return total


def moved_share(snapshot: Snapshot, moved: Iterable[Guest]) -> float:
    """Memory moved over memory of all guests."""
    everything = sum(guest.memory_mib for guest in snapshot.guests)
    return sum(guest.memory_mib for guest in moved) / everything if everything else 0.0


def watts_of(host: Host, load_ratio: float) -> float:
    """Watts of a host that is on, linear between the points of its curve, flat beyond them."""
    curve = host.power.watts or DEFAULT_CURVE
    if load_ratio <= curve[0][0]:
        return curve[0][1]
    for (low, low_watts), (high, high_watts) in pairwise(curve):
        if load_ratio <= high:
            return low_watts + (high_watts - low_watts) * (load_ratio - low) / (high - low)
    return curve[-1][1]


def watts(snapshot: Snapshot, placement: Mapping[str, str], states: Mapping[str, PowerState]) -> float:
    """Watts of all hosts at their CPU load (use over capacity); `sleep_watts` for one asleep, none for one off."""
    on = guests_on(snapshot, placement)
    total = 0.0
    for host in snapshot.hosts:
        if states[host.id] is PowerState.ASLEEP:
            total += host.power.sleep_watts
        elif states[host.id] is not PowerState.OFF:
            room = float(room_of(host, "cpu") or 0)
            total += watts_of(host, use_of(on[host.id], "cpu") / room if room else 0.0)
    return total


def energy_watts(
    snapshot: Snapshot,
    placement: Mapping[str, str],
    asleep: Collection[str],
    moved: Iterable[Guest],
    settings: ConsolidateSettings,
) -> float:
    """What consolidation lowers, as mean watts over the horizon.

    Hosts that stay on by their curve, `sleep_watts` for those asleep, and the energy of moves and of going to sleep
    and waking, both at the idle host's draw. Hosts that cannot be planned with are left out: nothing changes there.
    """
    on = guests_on(snapshot, placement)
    total = 0.0
    for host in snapshot.hosts:
        if host.id in asleep:
            share = (host.power.sleep_s + host.power.wake_s) / settings.horizon_s
            total += host.power.sleep_watts + watts_of(host, 0.0) * share
        elif snapshot.why_unplannable(host) is None:
            room = float(room_of(host, "cpu") or 0)
            total += watts_of(host, use_of(on[host.id], "cpu") / room if room else 0.0)
        elif host.power.state is PowerState.ASLEEP and host.reachable:
            total += host.power.sleep_watts
    return total + sum(guest.memory_mib for guest in moved) / 1024 * settings.move_joules_per_gib / settings.horizon_s


def steepest_watts(host: Host) -> float:
    """Watts that one millicore more can add."""
    curve, room = host.power.watts or DEFAULT_CURVE, float(room_of(host, "cpu") or 0)
    if room < 1000:
        return curve[-1][1] - curve[0][1]
    slopes = [(high_watts - low_watts) / (high - low) for (low, low_watts), (high, high_watts) in pairwise(curve)]
    return max([0.0, *map(abs, slopes)]) / room


def soft_broken(snapshot: Snapshot, placement: Mapping[str, str]) -> list[tuple[float, int]]:
    """Return for each soft rule its weight over the guests it selects, and how much of it is broken."""
    where = settled(placement)
    return [
        (rule.weight / max(1, len(snapshot.guest_directory.select(rule.guests))), broken(rule, snapshot, where))
        for rule in snapshot.rules
        if rule.enforcement is Enforcement.SOFT
    ]


def power_states(snapshot: Snapshot, steps: Iterable[Step]) -> dict[str, PowerState]:
    """Return every host's power state after the steps."""
    states = {host.id: host.power.state for host in snapshot.hosts}
    for step in steps:
        if isinstance(step, Sleep):
            states[step.host] = PowerState.ASLEEP
        elif isinstance(step, Wake):
            states[step.host] = PowerState.ON
    return states


def figures(snapshot: Snapshot, placement: Mapping[str, str], states: Mapping[str, PowerState]) -> Figures:
    """Return the cluster figures over the hosts that are on in `states`."""
    on = guests_on(snapshot, placement)
    hosts = [host for host in snapshot.hosts if states[host.id] is PowerState.ON]
    loads: dict[str, list[float]] = {"cpu": [], "memory": []}
    for host in hosts:
        for resource, ratios in loads.items():
            room = float(room_of(host, resource) or 0)
            ratios.append(sum(demand_of(guest, resource) for guest in on[host.id]) / room if room else 0.0)
    return Figures(
        hosts_on=len(hosts),
        watts=round(watts(snapshot, placement, states), 1),
        cpu_max=round(max(loads["cpu"], default=0.0), 6),
        cpu_stdev=round(_stdev(loads["cpu"]), 6),
        memory_max=round(max(loads["memory"], default=0.0), 6),
        memory_stdev=round(_stdev(loads["memory"]), 6),
        broken_rules=count_broken(snapshot, settled(placement)),
    )


def _stdev(values: list[float]) -> float:
    if not values:
        return 0.0
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
