"""A configuration read again: what counts at once, what waits, and what becomes of the plan under way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.config.settings import HostSettings, Mode, Settings
from cluster.errors import InputError
from scheduler.reload import taken_over

OLD = Settings(hosts=(HostSettings("a", uri="qemu+ssh://a/system"), HostSettings("b", uri="qemu+ssh://b/system")))


def test_what_the_loop_only_looks_at_counts_at_once() -> None:
    """Modes, limits, breakers, windows and what is known of hosts."""
    hosts = (replace(OLD.hosts[0], mode=Mode.OBSERVE, labels={"rack": "r1"}),)
    new = replace(OLD, hosts=hosts, gate=replace(OLD.gate, max_moves=1), limits=replace(OLD.limits, cpu=0.5))
    assert taken_over(OLD, new) == (new, ())


def test_what_connections_and_jobs_are_made_of_waits_for_the_next_start() -> None:
    """Each is named; a new host is left out, since nobody could act on it."""
    moved = replace(OLD.hosts[1], uri="qemu+ssh://elsewhere/system")
    new = replace(
        OLD,
        hosts=(OLD.hosts[0], moved, HostSettings("c")),
        migration=replace(OLD.migration, per_cluster=9),
        scheduler=replace(OLD.scheduler, interval_s=1.0),
    )
    settings, waiting = taken_over(OLD, new)
    assert settings == OLD
    assert waiting == ("migration", "scheduler.lease_s and interval_s", "addresses of host b", "host c")


def test_a_configuration_without_hosts_is_not_taken() -> None:
    """Without any, every host that reports would count."""
    with pytest.raises(InputError, match="no \\[\\[hosts\\]\\]"):
        taken_over(OLD, replace(OLD, hosts=()))
