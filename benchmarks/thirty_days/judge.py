"""The judges of a course: guests that got too little, energy, power cycles, times on and off, guests moved to and fro.

All are worked out from the true course; none of it comes from the loop or its simulator's own accounting.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from benchmarks.thirty_days.course import ASLEEP, GOING_DOWN, ON, WAKING, Course, capacities, most
from cluster.limits import Limits

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Overload:
    """Minutes of hosts: `starved_minutes` wanting more than all their CPU, `over_limit_minutes` more than their limit.

    `guest_minutes` are those of guests on starved hosts, and `unserved_ratio` what was wanted there and not to be had,
    of all that was wanted. A guest on a host that does not run counts as starved of everything.
    """

    starved_minutes: float
    over_limit_minutes: float
    guest_minutes: float
    unserved_ratio: float


def overload(course: Course, limits: Limits) -> Overload:
    """Return how much was too little."""
    whole = capacities(course.weeks)
    allowed, _ = most(course.weeks, limits)
    starved_s = over_s = guest_s = unserved = wanted_all = 0.0
    for piece in course.pieces():
        length_s = piece.to_s - piece.from_s
        load = np.bincount(piece.placement, weights=piece.wanted, minlength=len(whole))
        runs = (piece.states == ON) | (piece.states == GOING_DOWN)
        given = np.where(runs, whole, 0)
        starved = load > given
        starved_s += length_s * int(starved.sum())
        over_s += length_s * int((load > np.where(runs, allowed, 0)).sum())
        guest_s += length_s * int(starved[piece.placement].sum())
        unserved += length_s * float(np.maximum(0, load - given).sum())
        wanted_all += length_s * float(load.sum())
    return Overload(starved_s / 60, over_s / 60, guest_s / 60, unserved / max(1.0, wanted_all))


def energy_kwh(course: Course, move_joules_per_gib: float) -> float:
    """Return what all hosts drew, going down and waking at what they draw idle, and what the moves took."""
    hosts = course.weeks.hosts
    whole = capacities(course.weeks)
    curves = [np.array(host.power.watts).T for host in hosts]
    asleep = np.array([host.power.sleep_watts for host in hosts])
    joules = 0.0
    for piece in course.pieces():
        load = np.bincount(piece.placement, weights=piece.wanted, minlength=len(whole)) / whole
        runs = (piece.states == ON) | (piece.states == GOING_DOWN)
        load = np.where(runs, np.minimum(load, 1.0), 0.0)
        drawn = np.array([np.interp(one, curve[0], curve[1]) for one, curve in zip(load, curves, strict=True)])
        joules += (piece.to_s - piece.from_s) * float(np.where(piece.states == ASLEEP, asleep, drawn).sum())
    memory = [guest.memory_demand_mib / 1024 for guest in course.weeks.guests]
    joules += sum(memory[move.guest] for move in course.moves) * move_joules_per_gib
    return joules / 3.6e6


def sleeps_in_a_day(course: Course) -> int:
    """Return the most sleeps that one host began within any 24 hours."""
    begun: dict[int, list[float]] = defaultdict(list)
    for host, at_s in _sleeps(course):
        begun[host].append(at_s)
    return max(
        (sum(at_s <= one < at_s + DAY_S for one in times) for times in begun.values() for at_s in times), default=0
    )


def sleeps(course: Course) -> int:
    """Return how often hosts went to sleep."""
    return len(_sleeps(course))


def shortest_s(course: Course) -> tuple[float, float]:
    """Return the shortest times that a host was on between two sleeps, and off: from going down until it is woken.

    A host that is on from the start, or to the end, has no such time; infinite where there is none at all.
    """
    on_s = off_s = float("inf")
    up_at: dict[int, float] = {}
    down_at: dict[int, float] = {}
    for change in course.power:
        if change.state == GOING_DOWN:
            if change.host in up_at:
                on_s = min(on_s, change.at_s - up_at.pop(change.host))
            down_at[change.host] = change.at_s
        elif change.state == WAKING and change.host in down_at:
            off_s = min(off_s, change.at_s - down_at.pop(change.host))
        elif change.state == ON:
            up_at[change.host] = change.at_s
    return on_s, off_s


def to_and_fro(course: Course, within_s: float) -> int:
    """Return how often a guest set out back to the host it had come from, sooner than `within_s` after arriving."""
    last: dict[int, tuple[int, float]] = {}
    found = 0
    for move in course.moves:
        if move.guest in last:
            came_from, arrived_s = last[move.guest]
            found += move.target == came_from and move.began_s - arrived_s < within_s
        if move.arrived:
            last[move.guest] = (move.source, move.ended_s)
    return found


def most_moves_in(course: Course, within_s: float) -> int:
    """Return the most moves of one guest that ended within any time so long."""
    ended: dict[int, list[float]] = defaultdict(list)
    for move in course.moves:
        if move.arrived:
            ended[move.guest].append(move.ended_s)
    return max(
        (sum(at_s <= one < at_s + within_s for one in times) for times in ended.values() for at_s in times), default=0
    )


def _sleeps(course: Course) -> list[tuple[int, float]]:
    """Return host and moment of each going down."""
    return [(change.host, change.at_s) for change in course.power if change.state == GOING_DOWN]
