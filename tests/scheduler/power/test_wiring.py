"""Power of real hosts out of a configuration: who gets a driver, who must never sleep, what doctor and status tell."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.clock import SystemClock
from cluster.config.power import BmcDriver, BmcSettings, PowerSettings, StartsBlocked, SuspendBy, WakeTest
from cluster.config.settings import CollectSource, HostSettings, Settings, StoreSettings
from cluster.errors import InputError
from cluster.host import Host, PowerModel, PowerState
from cluster.power_sight import ASKED, SEEN, Observed, observed_text
from cluster.report import HostUsage, Observation, Report
from cluster.snapshot import Snapshot
from cluster.store.memory import MemoryStore
from executors.power.executor import HostPowerExecutor
from executors.protocol import PowerOfHosts
from reports.status_text import status_text
from scheduler.cli.matter import Grade
from scheduler.cli.power_diagnosis import power_matters
from scheduler.power.reach import within_reach
from scheduler.power.wiring import kept_on, open_power, why_kept_on
from scheduler.reload import taken_over
from scheduler.see import build_snapshot
from scheduler.status import status_of
from scheduler.wiring import open_parts

CLOCK = SystemClock()
SIMULATED = BmcSettings(BmcDriver.SIMULATED)
SLEEPY = PowerModel(controllable=True)


def host(host_id: str, bmc: BmcSettings | None = SIMULATED, uri: str = "", **keys: str) -> HostSettings:
    """A host's entry that may sleep."""
    return HostSettings(host_id, uri=uri, power=SLEEPY, bmc=bmc, **keys)  # type: ignore[arg-type]  # texts all


def settings(*hosts: HostSettings, url: str = "memory:", source: CollectSource = CollectSource.AGENTS) -> Settings:
    """Settings with these hosts."""
    base = Settings(hosts=hosts, store=StoreSettings(url=url), power=PowerSettings(wake_test=WakeTest.OFF))
    return replace(base, collect=replace(base.collect, source=source))


def test_a_loop_of_real_hosts_has_their_power() -> None:
    """Where one has a bmc; none has it where none has."""
    parts = open_parts(settings(host("h1"), host("h2", None)), CLOCK, own_store=False)
    try:
        assert isinstance(parts.power, HostPowerExecutor)
        assert isinstance(parts.power, PowerOfHosts)
        assert sorted(parts.power.workers) == ["h1"]
        assert parts.power_eyes is not None
    finally:
        parts.close()
    parts = open_parts(settings(host("h1", None)), CLOCK, own_store=False)
    assert (parts.power, parts.power_eyes) == (None, None)
    parts.close()


def test_one_secret_open_to_others_refuses_all(tmp_path: Path) -> None:
    """Nothing runs on half of a configuration."""
    secret = tmp_path / "password"
    secret.write_text("x", encoding="utf-8")
    secret.chmod(0o644)
    bad = BmcSettings(BmcDriver.REDFISH, "https://bmc", "u", str(secret))
    with pytest.raises(InputError, match="host h2: bmc.password_file: .* is open to others"):  # noqa: RUF043
        open_power(settings(host("h1"), host("h2", bad)), CLOCK, MemoryStore(CLOCK))


@pytest.mark.parametrize(
    ("bmc", "said"),
    [
        (BmcSettings(BmcDriver.COMMAND, command=("/nowhere/power",)), "bmc.command: /nowhere/power is no program"),
        (BmcSettings(BmcDriver.REDFISH, "https://b", "u", ca_file="/nowhere/ca"), "bmc.ca_file: /nowhere/ca cannot be"),
        (
            BmcSettings(BmcDriver.WAKE_ON_LAN, "h1", mac="1", suspend_by=SuspendBy.SSH, identity_file="/nowhere/id"),
            "bmc.identity_file: /nowhere/id cannot be read",
        ),
    ],
)
def test_what_a_driver_needs_has_to_be_there(bmc: BmcSettings, said: str) -> None:
    """Known at the start, not in the night."""
    with pytest.raises(InputError) as refused:
        open_power(settings(host("h1", bmc)), CLOCK, MemoryStore(CLOCK))
    assert said in str(refused.value)


def test_what_libvirt_suspends_needs_its_uri() -> None:
    """Without one nobody could tell it to."""
    with pytest.raises(InputError, match="host h1: libvirt is to suspend it, but it has no uri"):
        open_power(settings(host("h1", BmcSettings(BmcDriver.LIBVIRT))), CLOCK, MemoryStore(CLOCK))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (host(socket.gethostname()), "is this scheduler's own"),
        (host(socket.gethostname().partition(".")[0] + ".example.org"), "is this scheduler's own"),
        (host("h1", uri="qemu:///system"), "is this scheduler's own"),
        (host("h1", uri="qemu+tcp://127.0.0.1/system"), "is this scheduler's own"),
        (host("h1", uri="qemu+tls://192.0.2.7/system"), "is the store's own (store.url)"),
        (host("h1", migration_address="192.0.2.7"), "is the store's own (store.url)"),
        (host("192.0.2.7"), "is the store's own (store.url)"),
        (host("h1", uri="qemu+tls://kvm-1.example.org/system"), None),
        (host("h1", uri="qemu+tls://192.0.2.8/system"), None),
    ],
)
def test_hosts_that_must_stay_on_are_known(entry: HostSettings, why: str | None) -> None:
    """Our own and the store's, by whatever name they go."""
    assert kept_on(settings(entry, url="redis://192.0.2.7:6379/0")).get(entry.id) == why


def test_the_stores_host_is_known_by_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another name than the store's, right before it would be told to sleep; from then on plans know it, too."""
    numbers = {"kvm-1.example.org": "192.0.2.7", "192.0.2.7": "192.0.2.7", "kvm-2.example.org": "192.0.2.8"}

    def resolve(name: str, _port: None) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        if name not in numbers:
            raise socket.gaierror("unknown")
        return [(2, 1, 6, "", (numbers[name], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    hosts = [host(f"h{n}", uri=f"qemu+tls://kvm-{n}.example.org/system") for n in (1, 2)]
    chosen = settings(*hosts, url="redis://192.0.2.7:6379/0")
    assert [why_kept_on(chosen, one) for one in ("h1", "h2", "h9")] == ["is the store's own (store.url)", None, None]


def test_plans_see_only_power_within_reach() -> None:
    """Hosts without a driver, own ones, and sleepers that a person took out are nobody's to plan."""
    found = open_power(
        settings(host("h1"), host("h2", None), host("h3", uri="qemu:///system")), CLOCK, MemoryStore(CLOCK)
    )
    assert found is not None
    hosts = [Host(one, 8000, 16384, power=SLEEPY) for one in ("h1", "h2", "h3")]
    hosts += [Host("h4", 8000, 16384, power=replace(SLEEPY, state=PowerState.ASLEEP), cordoned=True)]
    seen = within_reach(Snapshot("", datetime.now(UTC), tuple(hosts), ()), found.executor)
    assert [one.id for one in seen.hosts if one.power.controllable] == ["h1"]
    assert within_reach(seen, None) is seen


def test_a_reload_leaves_power_for_the_next_start() -> None:
    """Drivers are made when the daemon starts; it says what waits."""
    old = settings(host("h1"))
    new = replace(
        settings(host("h1", BmcSettings(BmcDriver.COMMAND, command=("/x",)))), power=PowerSettings(look_s=5.0)
    )
    kept, waiting = taken_over(old, new)
    assert (kept.power, kept.hosts[0].bmc) == (old.power, SIMULATED)
    assert waiting == ("power", "addresses of host h1")


# -- what people are told ----------------------------------------------------------------------------------------------


def findings(chosen: Settings, flags: dict[str, str] | None = None) -> list[tuple[Grade, str, str]]:
    """What doctor finds of power."""
    return [(one.grade, one.about, one.text) for one in power_matters(chosen, CLOCK, flags or {})]


def program(tmp_path: Path, says: str, status: int = 0) -> BmcSettings:
    """A command that prints this."""
    path = tmp_path / f"power-{says}"
    path.write_text(f"#!/bin/sh\necho {says}\nexit {status}\n", encoding="utf-8")
    path.chmod(0o755)
    return BmcSettings(BmcDriver.COMMAND, command=(str(path),))


def test_doctor_asks_every_bmc(tmp_path: Path) -> None:
    """One line each: what it says, or what is wrong with it."""
    silent = BmcSettings(BmcDriver.REDFISH, "http://127.0.0.1:9", "u", str(tmp_path / "p"), verify_tls=False)
    (tmp_path / "p").write_text("x", encoding="utf-8")
    (tmp_path / "p").chmod(0o600)
    unread = replace(silent, password_file=str(tmp_path / "nowhere"))
    chosen = settings(
        *(host("h1", program(tmp_path, "on")), host("h2", program(tmp_path, "broken", 1)), host("h3", silent)),
        *(host("h4", unread), host("h5", None)),
    )
    found = {about: (grade, text) for grade, about, text in findings(chosen)}
    assert found["h1 bmc"] == (Grade.FINE, "command says on")
    assert found["h2 bmc"][0] is Grade.REFUSES
    assert found["h3 bmc"][0] is Grade.UNREACHABLE
    assert (found["h4 bmc"][0], "cannot be read" in found["h4 bmc"][1]) == (Grade.REFUSES, True)
    assert found["h5"] == (Grade.REMARK, "may be put to sleep by its entry, but has no bmc")


def test_doctor_says_what_keeps_hosts_awake_and_starts_open(tmp_path: Path) -> None:
    """A wake test that is missing, and guests that could be started on a host going down."""
    chosen = settings(host("h1", program(tmp_path, "on")), source=CollectSource.LIBVIRT)
    chosen = replace(chosen, power=PowerSettings(starts_blocked=StartsBlocked.REQUIRED))
    found = findings(chosen)
    assert any("trimtab wake-test h1" in text for _, _, text in found)
    assert (Grade.REFUSES, "power") in [(grade, about) for grade, about, _ in found]


def test_doctor_names_hosts_without_the_hook(tmp_path: Path) -> None:
    """As their agents find; with the hook there is nothing to say."""
    chosen = settings(host("h1", program(tmp_path, "on")), host("h2", program(tmp_path, "on")))
    (found,) = [text for _, about, text in findings(chosen, {"power_hook:h2": "there"}) if about == "power"]
    assert "no libvirt hook of Trimtab's on h1:" in found
    assert not [one for one in findings(chosen, {f"power_hook:h{n}": "there" for n in (1, 2)}) if one[1] == "power"]


def test_status_keeps_asked_and_seen_apart() -> None:
    """Both are told, and what they come to; people read it in words."""
    store, chosen = MemoryStore(CLOCK), settings(host("h1"), host("h2"))
    now = CLOCK.now()
    for one in ("h1", "h2"):
        seen = Observation(now, Host(one, 8000, 16384), HostUsage(), ())
        store.put_report(Report("boot", now, 1, seen), 60.0)
    store.set_flag(ASKED + "h1", "asleep")
    store.set_flag(SEEN + "h1", observed_text(Observed(PowerState.ON, now)))
    sight = build_snapshot(store.reports(), chosen, store.flags(), now)
    status = json.loads(json.dumps(status_of(sight, store, chosen, "", now)))
    told = [(one["power"], one["power_requested"], one["power_observed"]) for one in status["hosts"]]
    assert told == [("unknown", "asleep", "on"), ("on", "on", "on")]
    assert "asked to sleep, seen on" in status_text(status, "")
