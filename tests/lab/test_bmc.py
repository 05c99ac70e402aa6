"""The lab's BMC emulators: real Redfish and IPMI turn real hosts off and on again."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.clock import SystemClock
from cluster.connections.libvirt_connection import LibvirtConnection
from tests.lab.bmc import IPMI, PASSWORD, REDFISH, USER, Bmc, Bmcs, emulators_missing, ipmitool
from tests.lab.lab import Lab
from tests.lab.power_switch import Mood
from tests.lab.processes import wait_until

pytestmark = pytest.mark.lab


@pytest.fixture
def bmcs(lab: Lab) -> Iterator[Bmcs]:
    """A Redfish BMC for lab-2, an IPMI one for lab-3."""
    if (missing := emulators_missing()) is not None:
        pytest.skip(missing)
    with Bmcs(lab, {"lab-2": REDFISH, "lab-3": IPMI}) as bmcs:
        yield bmcs


def redfish(bmc: Bmc, path: str, body: object = None, password: str = PASSWORD) -> Any:
    """Ask a Redfish BMC something by hand, its certificate verified."""
    word = base64.b64encode(f"{USER}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {word}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{bmc.address}{path}", data, headers)
    context = ssl.create_default_context(cafile=str(bmc.ca_file))
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def reset(bmc: Bmc, kind: str) -> None:
    """Give a Redfish order."""
    redfish(bmc, f"/redfish/v1/Systems/{bmc.system}/Actions/ComputerSystem.Reset", {"ResetType": kind})


def redfish_state(bmc: Bmc) -> str:
    """Return the state that a Redfish BMC tells."""
    return str(redfish(bmc, f"/redfish/v1/Systems/{bmc.system}")["PowerState"])


def test_redfish_turns_a_host_off_and_on(lab: Lab, bmcs: Bmcs) -> None:
    """Over TLS with a password; the host that comes back is the same host, freshly booted."""
    host, bmc = lab.host("lab-2"), bmcs.of("lab-2")
    boot_id = host.boot_id
    assert redfish_state(bmc) == "On"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        redfish(bmc, f"/redfish/v1/Systems/{bmc.system}", password="wrong")
    reset(bmc, "GracefulShutdown")
    wait_until(lambda: redfish_state(bmc) == "Off", 10, "lab-2 did not go off")
    assert not host.up
    reset(bmc, "On")
    wait_until(lambda: redfish_state(bmc) == "On" and host.libvirtd_up, 10, "lab-2 did not come on")
    wait_until(lambda: bmcs.switch.orders == [("lab-2", "soft"), ("lab-2", "on")], 1, "other orders")
    assert host.boot_id != boot_id
    host.wait_ready()
    assert lab.connection("lab-2").getHostname() == "lab-2"


def test_ipmi_turns_a_host_off_and_on(lab: Lab, bmcs: Bmcs) -> None:
    """By ipmitool over lanplus; a soft off ends the host, and a wrong password does nothing."""
    host, bmc = lab.host("lab-3"), bmcs.of("lab-3")
    assert ipmitool(bmc, "chassis", "power", "status").stdout == "Chassis Power is on\n"
    assert ipmitool(bmc, "-P", "wrong", "chassis", "power", "soft").returncode != 0
    assert ipmitool(bmc, "chassis", "power", "soft").returncode == 0
    wait_until(lambda: not host.up, 10, "lab-3 did not go off")
    assert ipmitool(bmc, "chassis", "power", "status").stdout == "Chassis Power is off\n"
    assert ipmitool(bmc, "chassis", "power", "on").returncode == 0
    wait_until(lambda: host.libvirtd_up, 10, "lab-3 did not come on")
    host.wait_ready()


def test_bad_bmcs(lab: Lab, bmcs: Bmcs) -> None:
    """One refuses, one lies, one powers a host that does not boot: the host is as it was each time."""
    bmc = bmcs.of("lab-3")
    bmcs.switch.mood("lab-3", Mood.REFUSES)
    assert ipmitool(bmc, "chassis", "power", "soft").returncode != 0
    bmcs.switch.mood("lab-3", Mood.LIES)
    assert ipmitool(bmc, "chassis", "power", "soft").returncode == 0
    assert ipmitool(bmc, "chassis", "power", "status").stdout == "Chassis Power is off\n"
    assert lab.host("lab-3").libvirtd_up
    bmcs.switch.mood("lab-2", Mood.REFUSES)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        reset(bmcs.of("lab-2"), "GracefulShutdown")
    bmcs.switch.mood("lab-2", Mood.OBEYS)
    reset(bmcs.of("lab-2"), "GracefulShutdown")
    wait_until(lambda: not lab.host("lab-2").up, 10, "lab-2 did not go off")
    bmcs.switch.mood("lab-2", Mood.NO_BOOT)
    reset(bmcs.of("lab-2"), "On")
    assert redfish_state(bmcs.of("lab-2")) == "On"
    assert not lab.host("lab-2").up


def test_a_connection_is_there_at_once_after_a_hosts_night(lab: Lab) -> None:
    """The first call to a host that was off and is back works, on a connection that was opened before its night."""
    host = lab.host("lab-2")
    connection = LibvirtConnection(host.uri, 5.0, SystemClock(), name="lab-2")
    assert connection.call("tell its name", lambda libvirt: libvirt.getHostname()) == "lab-2"
    host.shut_down()
    host.boot()
    host.wait_ready()
    assert connection.call("tell its name", lambda libvirt: libvirt.getHostname()) == "lab-2"
    connection.close()
