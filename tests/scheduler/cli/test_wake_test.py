"""`trimtab wake-test`: by a daemon or alone, drained first or not, and what it tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster import wake_proof
from cluster.store.memory import MemoryStore
from scheduler.power import wake_state
from scheduler.power.wake_state import Phase
from simulator.fleet import SimFleet
from simulator.world import World
from tests.scheduler.cli.bench import leading
from tests.scheduler.cli.conftest import Call


@pytest.fixture
def sleepy(simulated: Call, tiny_file: Path, tmp_path: Path) -> Call:
    """The simulated program, with hosts whose power is controlled and quick."""
    document = json.loads(tiny_file.read_text())
    for host in document["hosts"]:
        host["power"] = {"controllable": True, "sleep_s": 0.5, "wake_s": 1}
    tiny_file.write_text(json.dumps(document))
    config = tmp_path / "simulated.toml"
    text = config.read_text().replace("interval_s = 0.5", "interval_s = 0.1")
    # Two of its guests must be apart: with one host asleep none of the others could be lost.
    config.write_text(text + "[consolidate]\nhost_losses = 0\n")
    return simulated


def test_a_host_is_drained_and_tested_without_a_daemon(sleepy: Call, store: MemoryStore) -> None:
    """Exit status 0, with the seconds that it took; drained no more."""
    ended = sleepy("wake-test", "a", "--drain", "--json")
    assert ended.status == 0, ended
    result = ended.json
    assert (result["host"], result["outcome"], result["blocked"]) == ("a", "passed", False)
    assert 1 <= result["took_s"] < 10
    assert wake_proof.read(store.flags(), "a").took_s == result["took_s"]
    assert not [flag for flag in store.flags() if flag.startswith(("drain:", "power:"))]


def test_a_host_with_guests_is_not_tested(sleepy: Call, store: MemoryStore) -> None:
    """Exit status 1 and what to do; nothing was begun."""
    ended = sleepy("wake-test", "a")
    assert (ended.status, "trimtab wake-test a --drain" in ended.out) == (1, True), ended
    assert store.plans(9) == ()


def test_a_host_whose_power_is_not_controlled_is_not_tested(simulated: Call) -> None:
    """Exit status 1, saying what its entry needs."""
    ended = simulated("wake-test", "b")
    assert (ended.status, "power.controllable" in ended.out) == (1, True), ended


def test_a_daemon_is_asked_and_watched(simulated: Call, store: MemoryStore, world: World) -> None:
    """Its refusal is the answer; a second test of the same host meanwhile is refused at once."""
    with leading(store, world):
        ended = simulated("wake-test", "b")
    assert (ended.status, "is not controlled" in ended.out) == (1, True), ended
    test = wake_state.read(store.flags(), "b")
    assert test is not None and test.phase is Phase.REFUSED
    store.set_flag(wake_state.PREFIX + "b", wake_state.write(wake_state.WakeTest("b", "ann", test.at)))
    ended = simulated("wake-test", "b")
    assert (ended.status, "asked for by ann" in ended.err) == (1, True), ended


def test_a_daemon_that_is_gone_is_said(simulated: Call, store: MemoryStore, reported: SimFleet) -> None:
    """Exit status 3: nobody knows how the test ends."""
    store.put_status("{}", 1.0)
    ended = simulated("wake-test", "b")
    assert (ended.status, "the daemon is gone" in ended.err) == (3, True), ended
