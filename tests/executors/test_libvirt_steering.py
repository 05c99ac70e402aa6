"""What libvirt's figures of a running migration say, before, in and after post-copy, and the flags of chosen ways."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.migration.ways import Way, Ways
from executors import libvirt_domain as domains
from executors.ladder import Passes
from executors.libvirt_steering import passes_of
from executors.libvirt_ways import flags_of, parameters_of
from executors.protocol import Presence

libvirt = pytest.importorskip("libvirt")

MIB = 1 << 20
STATISTICS = {
    "type": 2,
    "operation": 5,  # outgoing migration
    "data_processed": 30 * MIB,
    "data_remaining": 10 * MIB,
    "memory_iteration": 3,
    "memory_remaining": 10 * MIB,
    "memory_bps": 40 * MIB,
    "memory_dirty_rate": 5120,
    "memory_page_size": 4096,
    "auto_converge_throttle": 20,
}


class Domain:
    """A guest under way in some state, and the connection that finds it."""

    def __init__(self, state: tuple[int, int]) -> None:
        self._state = state
        self.aborted = 0

    def lookupByUUIDString(self, _uuid: str) -> Domain:  # noqa: N802 - libvirt's name
        """Find the one guest."""
        return self

    def isActive(self) -> bool:  # noqa: N802 - libvirt's name
        """It is there."""
        return True

    def controlInfo(self) -> list[int]:  # noqa: N802 - libvirt's name
        """Its monitor is free."""
        return [libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0]

    def state(self) -> tuple[int, int]:
        """As told."""
        return self._state

    def jobStats(self) -> dict[str, int]:  # noqa: N802 - libvirt's name
        """A migration out."""
        return dict(STATISTICS)

    def abortJob(self) -> None:  # noqa: N802 - libvirt's name
        """Count."""
        self.aborted += 1

    def ioThreadInfo(self, _flags: int) -> None:  # noqa: N802 - libvirt's name
        """Its QEMU answers."""


def domain(state: str, reason: str) -> Any:
    """A guest in a state by libvirt's names."""
    return Domain((getattr(libvirt, f"VIR_DOMAIN_{state}"), getattr(libvirt, f"VIR_DOMAIN_{state}_{reason}")))


def test_a_running_migration_says_its_passes() -> None:
    """In MiB and MiB/s, and can be stopped."""
    running = domain("RUNNING", "BOOTED")
    view = domains.job(running, "g")
    assert (view.out, view.ratio, view.mib, view.postcopy) == (True, 0.75, 30, False)
    assert view.passes == Passes(3, 10.0, 40.0, 20.0, 0.2)
    domains.abort(running, "g")
    assert running.aborted == 1


def test_one_in_post_copy_is_not_stopped() -> None:
    """It has no passes any more."""
    switched = domain("PAUSED", "POSTCOPY")
    view = domains.job(switched, "g")
    assert (view.out, view.postcopy, view.passes) == (True, True, None)
    domains.abort(switched, "g")
    assert switched.aborted == 0


def test_a_broken_post_copy_is_no_migration_under_way_and_no_guest_that_runs() -> None:
    """Though libvirt keeps its job; at the target the guest does not count as arrived either."""
    broken = domain("PAUSED", "POSTCOPY_FAILED")
    assert not domains.job(broken, "g").out
    assert domains.presence(broken, "g", waiting=Presence.LEAVING) is Presence.STOPPED
    domains.abort(broken, "g")
    assert broken.aborted == 0
    for state in ("RUNNING", "PAUSED"):
        assert not domains.answers(domain(state, "POSTCOPY_FAILED"), "g")
    assert domains.answers(domain("RUNNING", "MIGRATED"), "g")


def test_figures_that_are_not_there_yet_are_none() -> None:
    """A job that has not begun to send says nothing of memory."""
    assert passes_of({"type": 2}) is None
    assert passes_of({"memory_iteration": 1}) == Passes(1, 0.0, 0.0, 0.0)


def test_flags_and_parameters_are_those_of_the_ways() -> None:
    """None without any; a compression by its name, connections by their number."""
    assert (flags_of(Ways()), parameters_of(Ways())) == (0, {})
    packed = Ways(frozenset({Way.TLS, Way.PARALLEL, Way.ZSTD}), 4)
    assert flags_of(packed) == libvirt.VIR_MIGRATE_TLS | libvirt.VIR_MIGRATE_PARALLEL | libvirt.VIR_MIGRATE_COMPRESSED
    assert parameters_of(packed) == {"parallel.connections": 4, "compression": "zstd"}
    helped = Ways(frozenset({Way.POSTCOPY, Way.AUTO_CONVERGE, Way.XBZRLE}))
    assert flags_of(helped) == (
        libvirt.VIR_MIGRATE_POSTCOPY | libvirt.VIR_MIGRATE_AUTO_CONVERGE | libvirt.VIR_MIGRATE_COMPRESSED
    )
    assert parameters_of(helped) == {"compression": "xbzrle"}
