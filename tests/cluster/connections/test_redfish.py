"""Redfish as power needs it, against a service on loopback: states, graceful only, TLS, deadlines, plain refusals."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.config.power import BmcDriver, BmcSettings
from cluster.connections.redfish import RedfishConnection
from cluster.errors import HostUnreachableError, InputError, StepError, TrimtabError
from cluster.host import PowerState
from tests.executors.power.redfish_service import PASSWORD, USER, Service, certificate, serve


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate."""
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def service(tls: tuple[Path, Path]) -> Iterator[Service]:
    """A service behind TLS."""
    one = serve(Service(), tls)
    yield one
    one.close()


@pytest.fixture
def bmc(service: Service, tls: tuple[Path, Path], tmp_path: Path) -> BmcSettings:
    """Settings that reach it."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    secret.chmod(0o600)
    return BmcSettings(BmcDriver.REDFISH, service.url, USER, str(secret), ca_file=str(tls[1]))


def connect(bmc: BmcSettings, deadline_s: float = 5.0) -> RedfishConnection:
    """Connect to the host `h1`."""
    return RedfishConnection("h1", bmc, deadline_s)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("On", PowerState.ON),
        ("Off", PowerState.OFF),
        ("PoweringOn", PowerState.WAKING),
        ("PoweringOff", PowerState.UNKNOWN),
        ("Paused", PowerState.ASLEEP),
    ],
)
def test_states_are_told_as_ours(service: Service, bmc: BmcSettings, said: str, state: PowerState) -> None:
    """Each of Redfish's power states is one of ours; going down is none of them yet."""
    service.state = said
    assert connect(bmc).power_state() is state


def test_down_is_graceful_and_up_is_on(service: Service, bmc: BmcSettings) -> None:
    """Going down is asked as a graceful shutdown, whatever else the service offers."""
    one = connect(bmc)
    one.shut_down()
    assert (service.asked, one.power_state()) == (["GracefulShutdown"], PowerState.OFF)
    one.switch_on()
    assert (service.asked, one.power_state()) == (["GracefulShutdown", "On"], PowerState.ON)


def test_without_a_graceful_shutdown_nothing_is_asked(service: Service, bmc: BmcSettings) -> None:
    """A service that only knows hard ways is asked for none of them."""
    service.allowed = ["On", "ForceOff", "PushPowerButton"]
    with pytest.raises(StepError, match=r"cannot do GracefulShutdown .it can do On, ForceOff, PushPowerButton"):
        connect(bmc).shut_down()
    assert service.asked == []


def test_a_service_that_does_not_list_its_resets_is_asked(service: Service, bmc: BmcSettings) -> None:
    """The list is optional in Redfish; the service itself then says no."""
    service.allowed = None
    connect(bmc).shut_down()
    assert service.asked == ["GracefulShutdown"]


@pytest.mark.parametrize("environment_metrics", [True, False])
@pytest.mark.parametrize(("said", "watts"), [(123.5, 123.5), (None, None), ("much", None), (True, None), (-3, None)])
def test_watts_are_read_where_there_are_any(
    service: Service, bmc: BmcSettings, environment_metrics: bool, said: object, watts: float | None
) -> None:
    """The chassis' newer or older resource is read; what is no sound figure is none."""
    service.environment_metrics, service.watts = environment_metrics, said
    assert connect(bmc).watts() == watts


def test_an_untrusted_certificate_is_refused(service: Service, bmc: BmcSettings) -> None:
    """Without its authority the service is not spoken to, and the password is not sent."""
    with pytest.raises(HostUnreachableError, match=r"certificate is not trusted.*set bmc.ca_file"):
        connect(replace(bmc, ca_file="")).power_state()
    assert service.paths == []


def test_verification_can_be_told_off(bmc: BmcSettings) -> None:
    """Only by its own key."""
    assert connect(replace(bmc, ca_file="", verify_tls=False)).power_state() is PowerState.ON


def test_a_wrong_password_says_what_to_look_at(bmc: BmcSettings, tmp_path: Path) -> None:
    """The refusal names the keys, not the password."""
    wrong = tmp_path / "wrong"
    wrong.write_text("another secret", encoding="utf-8")
    wrong.chmod(0o600)
    with pytest.raises(StepError, match=r"refuses user trimtab \(401\)") as refused:
        connect(replace(bmc, password_file=str(wrong))).power_state()
    assert "another secret" not in str(refused.value)


def test_a_password_open_to_others_is_not_used(service: Service, bmc: BmcSettings) -> None:
    """A secret that a group may read is no secret: nothing is sent."""
    Path(bmc.password_file).chmod(0o640)
    with pytest.raises(InputError, match="is open to others than its owner; run: chmod 600"):
        connect(bmc).power_state()
    assert service.paths == []


def test_a_refusal_is_told_on_one_line(service: Service, bmc: BmcSettings) -> None:
    """What the service says for people is passed on."""
    service.refuses = 409
    with pytest.raises(StepError, match=r"refuses GET .*\(409\): Power control is locked by another user$"):
        connect(bmc).power_state()


@pytest.mark.parametrize("body", [b"", b"[]", b"hello", b"\xff\xfe", b'{"PowerState": {"a": 1}}', b"[" * 100_000])
def test_nonsense_is_said_to_be_nonsense(service: Service, bmc: BmcSettings, body: bytes) -> None:
    """An answer that is no Redfish is a plain error, whatever it is."""
    service.body = body
    with pytest.raises(StepError, match="host h1"):
        connect(replace(bmc, system="1")).power_state()


@pytest.mark.parametrize("fault", [{"hangs_s": 3.0}, {"drips": True}])
def test_no_call_outlasts_its_deadline(service: Service, bmc: BmcSettings, fault: dict[str, float]) -> None:
    """A service that hangs, or answers byte by byte for ever, is given up in time."""
    for key, value in fault.items():
        setattr(service, key, value)
    began_s = time.monotonic()
    with pytest.raises(HostUnreachableError, match=r"does not answer within 0\.5 s"):
        connect(bmc, 0.5).power_state()
    assert time.monotonic() - began_s < 2.0


def test_a_handshake_that_drips_is_cut_off(bmc: BmcSettings) -> None:
    """Also before a word of HTTP is spoken."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            for byte in b"\x16\x03\x03\x40\x00" + bytes(100):
                time.sleep(0.1)
                peer.send(bytes([byte]))

    threading.Thread(target=drip, daemon=True).start()
    began_s = time.monotonic()
    with pytest.raises(HostUnreachableError, match=r"does not answer within 0\.5 s"):
        connect(replace(bmc, address=f"https://127.0.0.1:{listener.getsockname()[1]}"), 0.5).power_state()
    assert time.monotonic() - began_s < 2.0
    listener.close()


def test_nobody_there_is_unreachable(service: Service, bmc: BmcSettings) -> None:
    """A BMC that is gone is told as such."""
    service.close()
    with pytest.raises(HostUnreachableError, match=r"host h1: its BMC 127\.0\.0\.1 does not answer"):
        connect(bmc, 0.5).power_state()


def test_one_of_several_systems_has_to_be_named(service: Service, bmc: BmcSettings) -> None:
    """Guessing which host to shut down is out of the question."""
    service.systems = 2
    with pytest.raises(StepError, match=r"names 2 systems; set bmc\.system"):
        connect(bmc).shut_down()
    connect(replace(bmc, system="1")).shut_down()
    assert service.asked == ["GracefulShutdown"]


def test_the_password_is_in_no_error(service: Service, bmc: BmcSettings) -> None:
    """Whatever goes wrong, what is raised holds no secret."""
    said = []
    for refuses, body in ((403, None), (500, None), (0, b"x"), (0, b"{}")):
        service.refuses, service.body = refuses, body
        try:
            connect(bmc).shut_down()
        except TrimtabError as error:
            said.append(str(error))
    assert len(said) == 4
    assert not any(PASSWORD in one for one in said)
