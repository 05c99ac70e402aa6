"""The contract of power drivers, over every driver there is: what each of them does, and what none ever does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.config.power import BmcDriver
from cluster.errors import HostUnreachableError, StepError, TrimtabError
from cluster.host import PowerState
from executors.power.registry import DRIVERS
from tests.executors.power.means import DEADLINE_S, DOWN, RIGS, Rig
from tests.executors.power.redfish_service import PASSWORD

HARD = ("force", "power off", "power cycle", "power reset", "pushpower", "destroy", "nmi", "restart")
"""Words of every hard way that any of them knows."""


@pytest.fixture(params=sorted(BmcDriver))
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Each driver with its host."""
    one = RIGS[request.param](tmp_path, monkeypatch)
    yield one
    one.driver.close()
    one.close()


def wait_for(rig: Rig, states: frozenset[PowerState]) -> PowerState:
    """Wait a little until the driver sees one of these states."""
    until_s = time.monotonic() + 3.0
    while (state := rig.driver.state()) not in states and time.monotonic() < until_s:
        time.sleep(0.02)
    return state


def test_every_driver_is_registered_and_tried_here() -> None:
    """A new driver comes with its line in the registry and with a host to be tried on."""
    assert set(DRIVERS) == set(BmcDriver) == set(RIGS)


def test_a_host_goes_down_and_comes_up(rig: Rig) -> None:
    """On, down when asked, up when asked; a driver that sees no sleeping host says that it does not know."""
    assert rig.driver.state() is PowerState.ON
    rig.driver.sleep()
    down = DOWN if rig.driver.sees_power else frozenset({PowerState.UNKNOWN})
    assert wait_for(rig, down) in down
    rig.driver.wake()
    assert wait_for(rig, frozenset({PowerState.ON})) is PowerState.ON


def test_waking_a_host_that_is_on_changes_nothing(rig: Rig) -> None:
    """It may be told twice, by two schedulers."""
    rig.driver.wake()
    assert rig.driver.state() is PowerState.ON


def test_nothing_hard_is_ever_asked(rig: Rig) -> None:
    """In all that a driver can do, refused or not, its host hears graceful things only."""
    for refuses in (False, True):
        if refuses and rig.refuse is not None:
            rig.refuse()
        for call in (rig.driver.state, rig.driver.sleep, rig.driver.wake, rig.driver.watts, rig.driver.sleep):
            try:
                call()
            except TrimtabError:
                continue
    heard = rig.heard()
    assert set(heard) <= rig.graceful
    assert not [one for one in heard if any(word in one.lower() for word in HARD)]


def test_a_refusal_is_told_and_nothing_else_is_tried(rig: Rig) -> None:
    """As an error of one line that says whose host it is; the host stays as it is."""
    if rig.refuse is None:
        pytest.skip("it never refuses")
    rig.refuse()
    with pytest.raises(StepError, match="h1") as refused:
        rig.driver.sleep()
    assert "\n" not in str(refused.value)


def test_silence_is_unreachable_in_time(rig: Rig) -> None:
    """Whoever hangs is left by the deadline of each call."""
    if rig.silence is None:
        pytest.skip("silence is what it sees of a sleeping host")
    rig.silence()
    began_s = time.monotonic()
    with pytest.raises(HostUnreachableError, match="host h1"):
        rig.driver.state()
    assert time.monotonic() - began_s < DEADLINE_S + 1.5


def test_watts_are_a_figure_or_none(rig: Rig) -> None:
    """Whoever measures says so in watts."""
    assert rig.driver.watts() in (None, 123.0, 123.5)


def test_no_secret_is_seen_by_others(rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a program's arguments or environment, nor in a log or an error."""
    said = []
    for refuses in (False, True):
        if refuses and rig.refuse is not None:
            rig.refuse()
        for call in (rig.driver.state, rig.driver.sleep, rig.driver.wake, rig.driver.watts):
            try:
                call()
            except TrimtabError as error:
                said.append(str(error))
    seen = [path.read_bytes() for name in ("heard", "environment", "cmdline") for path in tmp_path.rglob(name)]
    for secret in (PASSWORD, PASSWORD[:20]):
        assert not any(secret in one for one in said)
        assert not any(secret.encode() in one for one in seen)
        assert secret not in caplog.text
