"""The libvirt executor without libvirt: what happens between preparing a migration and setting it going."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import MigrationSettings
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.errors import HostUnreachableError, StepError
from executors import libvirt_migration
from executors.libvirt_migration import LibvirtMigrationExecutor
from executors.protocol import Presence, Sighting
from tests.executors.world import migrate

STEP = migrate("s1", "g1", "h1", "h2")


class SlowConnection:
    """A connection that takes its time to open, and then counts the migrations that are set going."""

    opened = threading.Event()
    begun: list[object]

    def __init__(self, *_: object, **__: object) -> None:
        """Take what a `LibvirtConnection` takes."""

    def call(self, _what: str, function: Callable[[Any], object]) -> None:
        """Wait for the host, then call the function with a connection that is also its own domain."""
        assert self.opened.wait(5)
        function(self)

    def lookupByUUIDString(self, _uuid: str) -> SlowConnection:  # noqa: N802 - libvirt's name
        """Find any guest."""
        return self

    def migrateToURI3(self, *arguments: object) -> None:  # noqa: N802 - libvirt's name
        """Set the migration going."""
        self.begun.append(arguments)

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("given_up", [False, True])
def test_a_host_that_wakes_up_late_begins_nothing_that_was_given_up(
    monkeypatch: pytest.MonkeyPatch, given_up: bool
) -> None:
    """The step has ended long before its source lets the migration's connection in: it must not begin then."""
    SlowConnection.opened, SlowConnection.begun = threading.Event(), []
    monkeypatch.setattr(libvirt_migration, "LibvirtConnection", SlowConnection)
    monkeypatch.setattr(libvirt_migration, "BEGIN_WAIT_S", 0.1)
    monkeypatch.setattr(LibvirtMigrationExecutor, "_prepare", lambda *_: (0, {}, "qemu+tcp://h2/system"))
    clock = SystemClock()
    nobody = {host: LibvirtConnection("test:///nowhere", 0.1, clock) for host in ("h1", "h2")}
    executor = LibvirtMigrationExecutor(nobody, {}, MigrationSettings(), clock)
    executor.start(STEP, 0, lambda: not given_up)
    SlowConnection.opened.set()
    until_s = time.monotonic() + 5
    while not executor._waiting[libvirt_migration._key(STEP)].over.is_set() and time.monotonic() < until_s:
        time.sleep(0.01)
    assert len(SlowConnection.begun) == (0 if given_up else 1)
    executor.close()


class Says:
    """A connection whose every call ends the same way."""

    def __init__(self, end: Exception | Presence) -> None:
        self.end = end

    def call(self, _what: str, _function: object) -> Presence:
        """Return it or raise it."""
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


def test_a_guest_that_hangs_does_not_make_its_host_a_silent_one() -> None:
    """Both are unknown to the step; but only a host that does not answer keeps other guests from being moved."""
    hung, gone = StepError("the guest's QEMU has not answered for 7 s"), HostUnreachableError("no answer within 5 s")
    hosts: dict[str, Any] = {"h1": Says(hung), "h2": Says(gone), "h3": Says(Presence.ABSENT)}
    executor = LibvirtMigrationExecutor(hosts, {}, MigrationSettings(), SystemClock())
    assert executor.look(STEP) == Sighting(Presence.UNKNOWN, Presence.UNKNOWN, silent=("h2",))
    executor.close()
