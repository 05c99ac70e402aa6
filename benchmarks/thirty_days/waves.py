"""Flapping loads: a square wave that all guests follow together, between levels that need more and fewer hosts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np

from benchmarks.integers import IntArray
from benchmarks.thirty_days.load import DAY_SLOTS, SLOT_S, Weeks, make_hosts, spread
from cluster.guest import Guest, Usage

_NAMES = uuid.UUID("6b7a1f0e-3f0d-5f8e-9a53-1b1f0f6f6a11")


@dataclass(frozen=True, slots=True)
class Wave:
    """Half of each period at the high level, half at the low one: shares of all CPU that all guests want together.

    `phase` is the share of a period that is over at the start; with `known` the four weeks before were the same.
    """

    period_s: int
    low: float
    high: float
    phase: float = 0.0
    known: bool = True

    @property
    def name(self) -> str:
        """What it is called in a table."""
        known = "known" if self.known else "new"
        return f"{self.period_s / 60:g} min, {self.low:.0%} to {self.high:.0%}, phase {self.phase:g}, {known}"


WAVES = tuple(
    Wave(period_s, low, high, phase, known)
    for low, high in ((0.15, 0.40), (0.28, 0.34))
    for period_s, phase, known in (
        (1800, 0.5, False),
        (3600, 0.0, False),
        (3600, 0.0, True),
        (7200, 0.5, False),
        (7200, 0.25, True),
        (14400, 0.3, True),
    )
)
"""Periods around the shortest times on and off, the guests' rest after a move and the horizon; far apart and close."""


def square(wave: Wave, seed: int, hosts: int = 12, guests: int = 96, days: int = 1) -> Weeks:
    """Return a cluster under a square wave, with a little noise. An unknown wave was steady at its mean before."""
    dice = np.random.default_rng(seed)
    all_hosts = make_hosts(hosts)
    history = 28 * DAY_SLOTS
    slots = history + days * DAY_SLOTS
    at = (np.arange(slots) - history) * SLOT_S / wave.period_s + wave.phase
    level = np.where(at % 1.0 < 0.5, wave.high, wave.low)
    if not wave.known:
        level[:history] = (wave.low + wave.high) / 2
    share = dice.uniform(0.5, 1.5, guests)
    each = share / share.sum() * sum(host.cpu_millicores for host in all_hosts)
    noise = 1 + 0.03 * dice.normal(size=(guests, slots))
    wanted: IntArray = np.maximum(5, np.rint(each[:, None] * level * noise)).astype(np.int64)
    vcpus = np.ceil(wanted.max(axis=1) / 1000 * 1.3).astype(np.int64)
    memory = 0.25 * sum(host.memory_mib for host in all_hosts) / guests
    all_guests = tuple(
        Guest(
            id=str(uuid.uuid5(_NAMES, f"{seed}/{i}")),
            name=f"wave-{i + 1:03d}",
            host="",
            vcpus=int(vcpus[i]),
            memory_mib=round(memory * float(dice.uniform(0.5, 1.5)) / 256) * 256,
            overhead_mib=256,
            usage=Usage(cpu_millicores=None),
        )
        for i in range(guests)
    )
    return spread(all_hosts, all_guests, wanted, history)
