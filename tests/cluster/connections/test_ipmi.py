"""IPMI by ipmitool: what it is called with, what its answers mean, and what becomes of answers that mean nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.config.power import BmcDriver, BmcSettings
from cluster.connections import ipmi
from cluster.connections.ipmi import IpmiConnection
from cluster.connections.program import Ended
from cluster.errors import HostUnreachableError, InputError, StepError
from cluster.host import PowerState


@pytest.fixture
def bmc(tmp_path: Path) -> BmcSettings:
    """Settings with a password that IPMI can hold."""
    secret = tmp_path / "password"
    secret.write_text("secret 7431\n", encoding="utf-8")
    secret.chmod(0o600)
    return BmcSettings(BmcDriver.IPMI, "bmc-1.example.org", "trimtab", str(secret))


def answering(monkeypatch: pytest.MonkeyPatch, ended: Ended) -> list[tuple[str, ...]]:
    """Let the program end like this; return what it will have been called with."""
    called: list[tuple[str, ...]] = []

    def run(_who: str, words: tuple[str, ...], _deadline_s: float) -> Ended:
        called.append(words)
        return ended

    monkeypatch.setattr(ipmi, "run_program", run)
    return called


def test_it_is_called_with_the_password_by_file(bmc: BmcSettings) -> None:
    """Least privilege, few tries, a sealed session; the password's place, not the password."""
    words = IpmiConnection("h1", bmc, 10.0).arguments(ipmi.SHUT_DOWN)
    assert " ".join(words) == (
        "ipmitool -I lanplus -H bmc-1.example.org -p 623 -C 17 -U trimtab -L OPERATOR -N 1 -R 4 "
        f"-f {bmc.password_file} chassis power soft"
    )


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.0.0.1", "-H 10.0.0.1 -p 623 -C"),
        ("10.0.0.1:6230", "-H 10.0.0.1 -p 6230 -C"),
        ("[fe80::1]:623", "-H fe80::1 -p 623 -C"),
        ("[fe80::1]", "-H fe80::1 -p 623 -C"),
    ],
)
def test_addresses_may_have_ports(bmc: BmcSettings, address: str, words: str) -> None:
    """Each goes where the program wants it."""
    assert words in " ".join(IpmiConnection("h1", replace(bmc, address=address), 10.0).arguments(ipmi.STATUS))


@pytest.mark.parametrize(
    ("said", "state"), [("Chassis Power is on\n", PowerState.ON), ("Chassis Power is off\n", PowerState.OFF)]
)
def test_states_are_read(bmc: BmcSettings, monkeypatch: pytest.MonkeyPatch, said: str, state: PowerState) -> None:
    """On and off is all that a chassis says."""
    answering(monkeypatch, Ended(0, said, ""))
    assert IpmiConnection("h1", bmc, 10.0).power_state() is state


@pytest.mark.parametrize("said", ["", "Chassis Power is ajar\n", "off\n", "xx Chassis Power is on"])
def test_nonsense_is_said_to_be_nonsense(bmc: BmcSettings, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Success without an answer is none."""
    answering(monkeypatch, Ended(0, said, ""))
    with pytest.raises(StepError, match="answers what is not understood"):
        IpmiConnection("h1", bmc, 10.0).power_state()


@pytest.mark.parametrize(
    ("ended", "watts"),
    [
        (Ended(0, "\n    Instantaneous power reading:                   123 Watts\n", ""), 123.0),
        (Ended(0, "    Instantaneous power reading:                     0 Watts\n", ""), None),
        (Ended(0, "nothing\n", ""), None),
        (Ended(1, "", "DCMI request failed because: Invalid command (c1)"), None),
    ],
)
def test_watts_are_read_where_there_are_any(
    bmc: BmcSettings, monkeypatch: pytest.MonkeyPatch, ended: Ended, watts: float | None
) -> None:
    """A BMC without DCMI, or without a sensor, has none."""
    called = answering(monkeypatch, ended)
    assert IpmiConnection("h1", bmc, 10.0).watts() == watts
    assert called[0][-3:] == ("dcmi", "power", "reading")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("Error: Unable to establish IPMI v2 / RMCP+ session", HostUnreachableError),
        ("Address lookup for bmc-1 failed\nCould not open socket!", HostUnreachableError),
        ("Set Chassis Power Control to Soft failed: Command not supported in present state", StepError),
    ],
)
def test_no_session_is_unreachable_and_a_refusal_a_refusal(
    bmc: BmcSettings, monkeypatch: pytest.MonkeyPatch, said: str, error: type[Exception]
) -> None:
    """The first may be tried again; the second is an answer."""
    answering(monkeypatch, Ended(1, "", said))
    with pytest.raises(error, match="host h1") as told:
        IpmiConnection("h1", bmc, 10.0).shut_down()
    assert "\n" not in str(told.value)


def test_a_password_longer_than_ipmi_holds_is_refused(bmc: BmcSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be cut off, and nobody would know why it does not fit."""
    called = answering(monkeypatch, Ended(0, "", ""))
    Path(bmc.password_file).write_text("x" * 21, encoding="utf-8")
    with pytest.raises(StepError, match="more than the 20 bytes"):
        IpmiConnection("h1", bmc, 10.0).switch_on()
    assert called == []


def test_a_program_that_is_not_there_is_said(bmc: BmcSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its name, as something to be installed."""
    monkeypatch.setattr(ipmi, "PROGRAM", "ipmitool-that-nobody-has")
    with pytest.raises(InputError, match=r"ipmitool-that-nobody-has cannot be run.*is it installed here"):
        IpmiConnection("h1", bmc, 10.0).power_state()
