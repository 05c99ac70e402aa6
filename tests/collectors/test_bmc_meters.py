"""BMCs' meters read together: silent ones passed over, hung ones not asked again, late readings counted."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from cluster.clock import SystemClock
from cluster.config.loader import load_settings
from cluster.config.power import BmcDriver, BmcSettings
from cluster.config.settings import HostSettings, Settings
from cluster.errors import HostUnreachableError, StepError
from collectors.bmc_meters import MOST_AT_ONCE, BmcMeters, CommandMeter, open_meters
from tests.collectors.fakes import FakeClock
from tests.executors.power.redfish_service import PASSWORD, USER, Service, certificate, serve


class FakeMeter:
    """Shows what it is told; fails or hangs when told."""

    def __init__(self, watts: float | None = 100.0) -> None:
        self.shown = watts
        self.error = ""
        self.go = threading.Event()
        self.go.set()
        self.asked = 0

    def watts(self) -> float | None:
        self.asked += 1
        self.go.wait(10)
        if self.error:
            raise HostUnreachableError(self.error)
        return self.shown


def test_all_meters_are_read_in_one_round() -> None:
    """More than are asked at once, too."""
    meters = {f"h{number:03}": FakeMeter(float(number)) for number in range(3 * MOST_AT_ONCE)}
    read = BmcMeters(meters, SystemClock(), 5.0).read(60.0)
    assert read == {host: meter.shown for host, meter in meters.items()}
    assert all(meter.asked == 1 for meter in meters.values())


def test_a_meter_that_fails_or_has_no_figure_is_passed_over() -> None:
    """The trouble is told while it lasts; the others are read."""
    good, bad, none = FakeMeter(), FakeMeter(), FakeMeter(None)
    bad.error = "host b: its BMC does not answer"
    meters = BmcMeters({"a": good, "b": bad, "c": none}, SystemClock(), 5.0)
    assert meters.read(60.0) == {"a": 100.0}
    assert meters.troubles == {"b": "host b: its BMC does not answer"}
    bad.error = ""
    assert meters.read(60.0) == {"a": 100.0, "b": 100.0}
    assert meters.troubles == {}


def test_a_hung_meter_holds_nobody_up_and_is_not_asked_twice() -> None:
    """A round ends in its time; what the hung one says in the end is there the next time."""
    hung, good = FakeMeter(7.0), FakeMeter()
    hung.go.clear()
    meters = BmcMeters({"a": hung, "b": good}, SystemClock(), 0.2)
    began_s = time.monotonic()
    assert meters.read(60.0) == {"b": 100.0}
    assert meters.read(60.0) == {"b": 100.0}
    assert time.monotonic() - began_s < 5
    assert (hung.asked, good.asked) == (1, 2)
    hung.go.set()
    for _ in range(100):
        if meters.read(60.0) == {"a": 7.0, "b": 100.0}:
            return
        time.sleep(0.02)
    raise AssertionError("the late reading never came")


def test_what_was_read_long_ago_is_not_told() -> None:
    """A meter that fails keeps its last figure for a while only."""
    clock, meter = FakeClock(), FakeMeter()
    meters = BmcMeters({"a": meter}, clock, 5.0)
    assert meters.read(60.0) == {"a": 100.0}
    meter.error = "gone"
    clock.sleep(59)
    assert meters.read(60.0) == {"a": 100.0}
    clock.sleep(2)
    assert meters.read(60.0) == {}


def test_meters_are_those_of_hosts_with_a_bmc_that_has_one(tmp_path: Path) -> None:
    """A host without one, or woken over its network alone, has none."""
    (tmp_path / "secret").write_text("s\n", encoding="utf-8")
    path = tmp_path / "trimtab.toml"
    bmc = f'driver = "redfish", address = "https://127.0.0.1:1", user = "u", password_file = "{tmp_path}/secret"'
    path.write_text(
        f'[[hosts]]\nid = "a"\nbmc = {{ {bmc} }}\n[[hosts]]\nid = "b"\n'
        '[[hosts]]\nid = "c"\nbmc = { driver = "simulated" }\n'
        f'[[hosts]]\nid = "d"\nbmc = {{ driver = "ipmi", address = "127.0.0.1", user = "u", '
        f'password_file = "{tmp_path}/secret" }}\n',
        encoding="utf-8",
    )
    assert open_meters(load_settings(path).settings, SystemClock()).hosts == ("a", "d")


@pytest.mark.parametrize(
    ("script", "watts"),
    [('[ "$1 $2" = "watts a" ] && echo 187.5', 187.5), ("exit 0", None), ("echo 0", 0.0)],
)
def test_an_operators_command_may_be_a_meter(tmp_path: Path, script: str, watts: float | None) -> None:
    """It is told what is wanted and of which host, and prints a number, or nothing where nothing measures."""
    assert CommandMeter("a", (command(tmp_path, script),), 5.0).watts() == watts


@pytest.mark.parametrize("script", ["echo many", "echo nan", "echo -3", "echo 5; exit 1"])
def test_a_command_that_prints_no_watts_is_said(tmp_path: Path, script: str) -> None:
    """One line that names the host and the command."""
    with pytest.raises(StepError, match=r"host a: .*/meter watts ended with"):
        CommandMeter("a", (command(tmp_path, script),), 5.0).watts()


def command(folder: Path, script: str) -> str:
    """A program made of a line of shell."""
    path = folder / "meter"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_redfish_services_meter_is_read_as_configured(tmp_path: Path) -> None:
    """Over TLS, with the secret from its file; what the service refuses is told, and nothing is read then."""
    key = certificate(tmp_path)
    service = serve(Service(), key)
    try:
        service.watts = 211.5
        secret = tmp_path / "password"
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        secret.chmod(0o600)
        bmc = BmcSettings(BmcDriver.REDFISH, service.url, USER, str(secret), ca_file=str(key[1]))
        meters = open_meters(Settings(hosts=(HostSettings("a", bmc=bmc),)), SystemClock())
        assert (meters.read(60.0), meters.troubles) == ({"a": 211.5}, {})
        secret.write_text("wrong\n", encoding="utf-8")
        meters = open_meters(Settings(hosts=(HostSettings("a", bmc=bmc),)), SystemClock())
        assert meters.read(60.0) == {}
        assert "refuses user" in meters.troubles["a"] and "wrong" not in meters.troubles["a"]
    finally:
        service.close()
