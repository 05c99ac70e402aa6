"""`trimtab agent` and `trimtab doctor`: what they refuse, what they report, and how they end."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from cluster.clock import SystemClock
from cluster.formats.cluster_file import load_cluster
from cluster.store.memory import MemoryStore
from scheduler.cli import verbs
from simulator.build import world_from_snapshot
from simulator.collector import SimCollector
from tests.scheduler.cli.conftest import Call

HOSTS = '[[hosts]]\nid = "kvm-a1"\nuri = "test:///default"\n[[hosts]]\nid = "kvm-a2"\n'


def test_an_agent_reports_until_it_is_told_to_stop(
    trimtab: Call, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host's report is in the store when SIGTERM ends it with status 0."""
    clock = SystemClock()
    store = MemoryStore(clock)
    world = world_from_snapshot(load_cluster(tiny_file), clock)
    monkeypatch.setattr("scheduler.cli.verbs.agent.open_store", lambda *_: store, raising=False)
    trimtab("agent", "--help")
    monkeypatch.setattr("scheduler.cli.verbs.agent.open_store", lambda *_: store)
    monkeypatch.setattr("scheduler.cli.verbs.agent.make_collector", lambda *_: SimCollector(world, "a"))
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    ended = trimtab("agent", "--host", "a", "--set", "store.url=memory:", "--set", "collect.interval_s=0.3")
    assert (ended.status, ended.out) == (0, "")
    assert [report.host for report in store.reports()] == ["a"]
    assert store.reports()[0].sequence > 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_agent_of_an_unknown_host_is_refused(trimtab: Call, tmp_path: Path) -> None:
    """With hosts configured, an agent is one of them."""
    config = tmp_path / "hosts.toml"
    config.write_text(HOSTS)
    ended = trimtab("agent", "--host", "kvm-a9", "--config", str(config))
    assert (ended.status, ended.out) == (2, "")
    assert "found 'kvm-a9'; allowed: kvm-a1, kvm-a2" in ended.err


def test_the_doctor_asks_every_host(trimtab: Call, tmp_path: Path) -> None:
    """A driver of libvirt's that answers; a host without a URI cannot be acted on; no agent has reported."""
    config = tmp_path / "hosts.toml"
    config.write_text(HOSTS + f'[store]\nurl = "memory:"\n[gate]\nkill_switch = "{tmp_path}"\n')
    ended = trimtab("doctor", "--config", str(config), "--json")
    assert ended.status == 3
    found = {(one["about"], one["grade"]): one for one in ended.json["findings"]}
    assert "answers" in found["kvm-a1", "ok"]["text"]
    assert found["kvm-a1", "unreachable"]["todo"] == "start 'trimtab agent' there"
    assert "uri" in found["kvm-a2", "refuses"]["todo"]
    assert found["kill switch", "refuses"]["todo"] == f"run: rm {tmp_path}"
    assert "in memory" in found["store", "refuses"]["text"]
    assert ("encryption", "remark") in found
    assert all(one["todo"] for one in ended.json["findings"] if one["grade"] in ("refuses", "unreachable"))


def test_the_doctor_says_when_a_host_does_not_answer(trimtab: Call, tmp_path: Path) -> None:
    """A dead libvirt is one line, with the way to try it by hand."""
    config = tmp_path / "hosts.toml"
    uri = f"qemu:///system?socket={tmp_path}/none"
    config.write_text(f'[[hosts]]\nid = "kvm-a1"\nuri = "{uri}"\n[store]\nurl = "memory:"\n')
    ended = trimtab("doctor", "--config", str(config))
    assert ended.status == 3
    assert f"try: virsh -c {uri} version" in ended.out


def test_acting_that_would_be_refused_is_status_1(trimtab: Call, tmp_path: Path) -> None:
    """Everything answers, and a store that may forget still keeps it from acting."""
    config = tmp_path / "sim.toml"
    config.write_text('[store]\nurl = "memory:"\n[collect]\nsource = "simulated"\n')
    ended = trimtab("doctor", "--config", str(config))
    assert ended.status == 1
    assert "set store.url" in ended.out


def test_every_verb_has_its_module() -> None:
    """The registry and the folder agree."""
    assert verbs.__file__ is not None
    folder = Path(verbs.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == {verb.module for verb in verbs.VERBS}
