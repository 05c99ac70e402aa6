"""Limits on concurrent moves, and the bandwidth cap in libvirt's unit."""

from __future__ import annotations

import pytest

from cluster.config.settings import MigrationSettings
from executors.slots import limit_mib_s, why_no_slot
from tests.executors.world import migrate

NEW = migrate("n", "g9", "h1", "h2")


@pytest.mark.parametrize(
    ("running", "why"),
    [
        ((), None),
        ((migrate("a", "g9", "h2", "h3"),), "the guest is already under way"),
        ((migrate("a", "g1", "h1", "h3"),), "1 migrations leave h1"),
        ((migrate("a", "g1", "h3", "h2"),), "1 migrations come to h2"),
        ((migrate("a", "g1", "h2", "h1"),), None),
        ((migrate("a", "g1", "h3", "h4"), migrate("b", "g2", "h5", "h6")), "2 migrations run in the cluster"),
    ],
)
def test_a_step_waits_for_those_that_stand_in_its_way(running: tuple[object, ...], why: str | None) -> None:
    """Out, in, cluster and guest each hold a step back, and say so."""
    assert why_no_slot(NEW, running, MigrationSettings(per_cluster=2)) == why  # type: ignore[arg-type]  # all migrations


@pytest.mark.parametrize(("mbit_s", "mib_s"), [(None, 0), (84.0, 10), (83.0, 9), (1000.0, 119), (1.0, 1)])
def test_the_cap_is_never_rounded_up_past_its_setting(mbit_s: float | None, mib_s: int) -> None:
    """10^6 bit/s become whole MiB/s, rounded down, at least one; without a setting there is no cap."""
    assert limit_mib_s(MigrationSettings(mbit_s=mbit_s)) == mib_s
