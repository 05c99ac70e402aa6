"""`trimtab sleep` and `trimtab wake`: by a daemon or alone, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.plan import BY_HAND
from cluster.power_sight import BY_HAND as BY_HAND_FLAG
from cluster.store.memory import MemoryStore
from simulator.world import World
from tests.scheduler.cli.bench import leading
from tests.scheduler.cli.conftest import Call

UNTESTED = ("--set", "power.wake_test=off")


@pytest.fixture
def sleepy(simulated: Call, tiny_file: Path) -> Call:
    """The simulated program, with hosts whose power is controlled and quick; `d` is empty."""
    document = json.loads(tiny_file.read_text())
    document["hosts"].append({**document["hosts"][0], "id": "d"})
    for host in document["hosts"]:
        host["power"] = {"controllable": True, "sleep_s": 0.5, "wake_s": 1}
    tiny_file.write_text(json.dumps(document))
    return simulated


def test_an_empty_host_sleeps_and_wakes(sleepy: Call, store: MemoryStore) -> None:
    """Exit status 0; asked for again there is nothing to do; no mark of a person's wish is left."""
    ended = sleepy("sleep", "d", *UNTESTED, "--json")
    assert (ended.status, ended.json["done"], ended.json["host"]) == (0, True, "d"), ended
    assert store.flags()["power:d"] == "asleep"
    (record,) = store.plans(9)
    assert (record.plan.policy, len(record.plan.steps)) == (BY_HAND, 1)
    again = sleepy("sleep", "d", *UNTESTED)
    assert (again.status, "nothing to do" in again.out) == (0, True), again
    ended = sleepy("wake", "d", "--json")
    assert (ended.status, ended.json["done"]) == (0, True), ended
    assert not [flag for flag in store.flags() if flag.startswith(("power:", BY_HAND_FLAG))]


def test_a_drained_host_sleeps(sleepy: Call, store: MemoryStore) -> None:
    """Who empties a host to switch it off need not put it back into service first."""
    store.set_flag("drain:d", "ann")
    assert sleepy("sleep", "d", *UNTESTED).status == 0
    assert store.flags()["drain:d"] == "ann"


def test_a_host_with_guests_is_refused(sleepy: Call, store: MemoryStore) -> None:
    """One line that says whom it holds and what to do; nothing is begun."""
    ended = sleepy("sleep", "a", *UNTESTED)
    assert (ended.status, "holds" in ended.err, "trimtab drain a" in ended.err) == (1, True, True), ended
    assert ended.err.count("\n") == 1
    assert store.plans(9) == ()


def test_a_host_that_was_never_proven_to_wake_is_refused(sleepy: Call, store: MemoryStore) -> None:
    """By hand as well: the line names the test that it has to pass."""
    ended = sleepy("sleep", "d")
    assert (ended.status, "trimtab wake-test d" in ended.err) == (1, True), ended


def test_a_host_that_is_on_needs_no_waking(sleepy: Call, store: MemoryStore) -> None:
    """Nothing to do is done."""
    ended = sleepy("wake", "a", "--json")
    assert (ended.status, ended.json["done"], ended.json["steps"]) == (0, True, []), ended
    assert store.plans(9) == ()


def test_an_unknown_host_is_bad_usage(sleepy: Call) -> None:
    """Exit status 2, with those there are."""
    ended = sleepy("wake", "zzz")
    assert (ended.status, "found host 'zzz'" in ended.err) == (2, True), ended


def test_a_daemon_does_it_and_its_refusal_is_told(sleepy: Call, store: MemoryStore, world: World) -> None:
    """A daemon without power control refuses the step, which the verb follows to its end."""
    store.set_flag("power:b", "asleep")
    with leading(store, world):
        ended = sleepy("wake", "b", "--json")
    assert (ended.status, ended.json["done"]) == (1, False), ended
    assert "no power control is configured" in ended.json["steps"][0]["detail"]


@pytest.mark.parametrize("verb", ["sleep", "wake"])
def test_help_has_examples(simulated: Call, verb: str) -> None:
    """As every verb's."""
    ended = simulated(verb, "--help")
    assert (ended.status, f"trimtab {verb} kvm-a1" in ended.out) == (0, True)
