"""What is read of a guest on a host when its QEMU hangs: nothing that would hang with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.errors import StepError
from executors import libvirt_domain as domains
from executors.protocol import Presence

libvirt = pytest.importorskip("libvirt")


class Domain:
    """A running guest, and the connection that finds it; asked through its monitor it counts the question."""

    def __init__(self, control: list[int] | None) -> None:
        self.control = control
        self.asked = 0

    def lookupByUUIDString(self, _uuid: str) -> Domain:  # noqa: N802 - libvirt's name
        """Find the one guest."""
        return self

    def isActive(self) -> bool:  # noqa: N802 - libvirt's name
        """It runs."""
        return True

    def state(self) -> list[int]:
        """It runs."""
        return [libvirt.VIR_DOMAIN_RUNNING, 0]

    def controlInfo(self) -> list[int]:  # noqa: N802 - libvirt's name
        """What libvirt knows of its monitor."""
        if self.control is None:
            raise libvirt.libvirtError("this driver does not say")
        return self.control

    def jobStats(self, _flags: int = 0) -> dict[str, int]:  # noqa: N802 - libvirt's name
        """No job."""
        self.asked += 1
        return {"type": 0}

    def ioThreadInfo(self, _flags: int) -> list[object]:  # noqa: N802 - libvirt's name
        """No thread of that kind."""
        self.asked += 1
        return []

    def abortJob(self) -> None:  # noqa: N802 - libvirt's name
        """Nothing to abort."""
        self.asked += 1


ASK: dict[str, Callable[[Any], object]] = {
    "presence": lambda it: domains.presence(it, "g", waiting=Presence.ARRIVING),
    "answers": lambda it: domains.answers(it, "g"),
    "job": lambda it: domains.job(it, "g"),
    "abort": lambda it: domains.abort(it, "g"),
}


@pytest.mark.parametrize("ask", ASK)
def test_a_monitor_that_hangs_is_not_asked(ask: str) -> None:
    """Each question would cost its host a hung call; too many of those make all guests of the host invisible."""
    hung = Domain([libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, 0, 7000])
    with pytest.raises(StepError, match="has not answered for 7 s"):
        ASK[ask](hung)
    assert hung.asked == 0


@pytest.mark.parametrize(
    "control",
    [[libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0], [libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, 0, 40], [1, 0, 99000], None],
    ids=["at rest", "busy for a moment", "in a job", "no word of it"],
)
@pytest.mark.parametrize("ask", ASK)
def test_any_other_monitor_is_asked(ask: str, control: list[int] | None) -> None:
    """A question in passing, a long job and a driver without that figure are no reason to look away."""
    guest = Domain(control)
    ASK[ask](guest)
    assert guest.asked


class Migrating(Domain):
    """A guest on its way out, which remembers the speeds it is told."""

    def __init__(self, *, is_over: bool = False) -> None:
        super().__init__([libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0])
        self.is_over = is_over
        self.told: list[tuple[int, int]] = []

    def jobStats(self, _flags: int = 0) -> dict[str, int]:  # noqa: N802 - libvirt's name
        """A migration, or none any more."""
        return {"type": 0 if self.is_over else 2, "operation": libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT}

    def migrateSetMaxSpeed(self, mib_s: int, flags: int) -> None:  # noqa: N802 - libvirt's name
        """Take another speed."""
        self.told.append((mib_s, flags))


def test_a_bandwidth_is_set_for_both_phases() -> None:
    """What follows in post-copy has a limit of its own in QEMU; no limit is libvirt's own largest figure."""
    post = libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY
    guest: Any = Migrating()
    domains.set_bandwidth(guest, "g", 12)
    domains.set_bandwidth(guest, "g", 0)
    assert guest.told == [(12, 0), (12, post), (8796093022207, 0), (8796093022207, post)]


def test_no_bandwidth_is_set_where_nothing_migrates() -> None:
    """It would stay with the guest and slow down a later migration that nobody limits."""
    guest: Any = Migrating(is_over=True)
    domains.set_bandwidth(guest, "g", 12)
    assert guest.told == []
