"""Breakers met by a person: a verb that acts ends with one line and its status; the daemon says the line and rests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.config.settings import Settings
from cluster.formats.cluster_file import load_cluster
from cluster.store.memory import MemoryStore
from simulator.build import world_from_snapshot
from simulator.clock import SimClock
from simulator.fleet import SimFleet
from tests.scheduler.cli.conftest import Call

HOSTS = "".join(f'[[hosts]]\nid = "{name}"\nuri = "qemu+tcp://127.0.0.1:1/system"\n' for name in "abcd")


@pytest.mark.parametrize(
    ("hold", "says"),
    [
        ("kill switch", "stop is there: remove it to go on"),
        ("blackout", "a blackout window is open"),
        ("pause", "paused by somebody: trimtab resume"),
    ],
)
@pytest.mark.parametrize("verb", ["drain", "apply"])
def test_a_verb_that_acts_is_held_back(
    simulated: Call, store: MemoryStore, tmp_path: Path, verb: str, hold: str, says: str
) -> None:
    """Status 1, one line that says what holds it back, and no plan was begun."""
    arguments = ["drain", "a"]
    if verb == "apply":
        arguments = ["apply", str(tmp_path / "plan.json")]
        assert simulated("plan", "--out", arguments[1]).status == 0
    if hold == "kill switch":
        (tmp_path / "stop").touch()
    elif hold == "pause":
        store.set_flag("paused", "somebody")
    else:
        config = tmp_path / "simulated.toml"
        config.write_text(config.read_text() + '[[windows]]\nkind = "blackout"\n')
    ended = simulated(*arguments)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.count("\n") == 1 and ended.err.startswith("trimtab: ")
    assert says in ended.err
    assert store.plans(5) == ()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("gate.quiet_start_s=600", "no plan: quiet start, 600 s to go"),
        ("scheduler.mode=observe", "not acting: mode observe; balance: broken rules 1 to 0"),
        ("scheduler.mode=advise", "waits: trimtab approve "),
    ],
)
def test_the_daemon_says_what_holds_it_back_and_rests(trimtab: Call, tiny_file: Path, setting: str, says: str) -> None:
    """The line is in its log, nothing is moved, and resting is no failure: status 0."""
    ended = trimtab("simulate", "--from", str(tiny_file), "--for", "120", "--set", setting)
    assert (ended.status, ended.err) == (0, "")
    assert says in ended.out
    assert "moves                     0 done, 0 failed" in ended.out


@pytest.fixture
def seen_long_ago(trimtab: Call, store: MemoryStore, tiny_file: Path, tmp_path: Path) -> Call:
    """The program among four configured hosts, three of which reported an hour ago and one never."""
    then = SimClock(datetime.now(UTC) - timedelta(hours=1))
    SimFleet(world_from_snapshot(load_cluster(tiny_file), then), store, then, Settings().collect).collect()
    config = tmp_path / "hosts.toml"
    config.write_text(f'[scheduler]\nmode = "act"\n[collect]\ninterval_s = 0.1\nstale_s = 0.2\n{HOSTS}')
    return lambda *arguments: trimtab(*arguments, "--config", str(config))


@pytest.fixture
def durable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is as safe as one on disk."""
    monkeypatch.setattr(MemoryStore, "durability_problems", lambda _: ())


def test_a_store_that_may_forget_is_not_acted_with(seen_long_ago: Call, store: MemoryStore) -> None:
    """A journal in memory is none: status 1, and the line says what is wrong with it."""
    ended = seen_long_ago("drain", "a")
    assert (ended.status, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "the store is not safe for a journal: " in ended.err
    assert store.plans(5) == ()


@pytest.mark.usefixtures("durable")
def test_hosts_that_are_not_heard_of_are_not_acted_on(seen_long_ago: Call, store: MemoryStore) -> None:
    """Too many stale hosts: status 1, and the line names them."""
    ended = seen_long_ago("drain", "a")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == (
        "trimtab: host a is marked, but not emptied: 4 of 4 hosts are stale or unreachable (a, b, c, ...): "
        "the figures cannot be trusted\n"
    )
    assert store.plans(5) == ()


@pytest.mark.usefixtures("durable")
@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("b", "trimtab: host b is stale (no figures for over 0.2 s): it is marked, but what runs there is not seen\n"),
        ("d", "trimtab: host d is marked, but has not reported: nobody knows what runs there\n"),
    ],
    ids=["stale", "never seen"],
)
def test_a_host_that_is_not_seen_is_not_called_empty(seen_long_ago: Call, host: str, says: str) -> None:
    """Nobody may take it for empty: status 3."""
    ended = seen_long_ago("drain", host)
    assert (ended.status, ended.out, ended.err) == (3, "", says)


def test_status_says_of_each_host_why_it_is_left_alone(seen_long_ago: Call) -> None:
    """Stale ones with the age of their figures, and the one that never reported."""
    ended = seen_long_ago("status")
    assert ended.status == 0
    assert "warning: host d has never reported" in ended.out
    assert ended.out.count("stale (figures 1 h old)") == 3
