"""The clusters that are judged on are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.thirty_days.load import DAY_SLOTS, weekly
from benchmarks.thirty_days.waves import Wave, square


def test_the_same_seed_gives_the_same_cluster() -> None:
    """And another seed another one."""
    one, same, other = (weekly(seed, 8, 48, 2, history_days=7) for seed in (1, 1, 2))
    assert one.hosts == same.hosts
    assert one.guests == same.guests
    assert (one.wanted == same.wanted).all()
    assert (one.wanted[:, :10] != other.wanted[:, :10]).any()


def test_load_follows_the_week() -> None:
    """Working days are busier than their nights and than the weekend, in the history and after it."""
    here = weekly(3, 40, 360, 30)
    total = here.wanted.sum(axis=0) / sum(host.cpu_millicores for host in here.hosts)
    days = total.reshape(-1, DAY_SLOTS)
    noon, night = days[:, 10 * 12 : 17 * 12].mean(axis=1), days[:, 4 * 12 : 6 * 12].mean(axis=1)
    weekday = np.arange(len(days)) % 7 < 5
    usual = weekday & (np.arange(len(days)) != 28 + 3)
    assert noon[usual].min() > 2 * night.max()
    assert noon[usual].min() > 1.5 * noon[~weekday].max()
    assert noon[28 + 3] < 0.8 * noon[usual].min()  # the holiday
    assert 0.35 < np.quantile(total, 0.95) < 0.5


def test_guests_fit_at_the_start() -> None:
    """No host begins over its memory, and no guest ever wants more than its vCPUs."""
    here = weekly(1, 40, 360, 2)
    for host in here.hosts:
        held = sum(guest.memory_demand_mib for guest in here.guests if guest.host == host.id)
        assert held <= host.memory_mib - host.reserved.memory_mib
    assert (here.wanted <= 1000 * np.array([guest.vcpus for guest in here.guests])[:, None]).all()


@pytest.mark.parametrize("known", [True, False])
def test_a_wave_has_two_levels(known: bool) -> None:
    """Half of each period is high; what was before is the same, or steady."""
    here = square(Wave(3600, 0.15, 0.4, known=known), 1, days=1)
    total = here.wanted.sum(axis=0) / sum(host.cpu_millicores for host in here.hosts)
    measured = total[here.history_slots :].reshape(-1, 12)
    assert measured[:, :6].min() > 0.38
    assert measured[:, 6:].max() < 0.17
    assert bool(np.ptp(total[: here.history_slots]) > 0.2) is known
