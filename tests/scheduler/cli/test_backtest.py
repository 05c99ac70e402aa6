"""`trimtab backtest`: what recorded loads would have come to, from files and from the store's own history."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.formats.cluster_file import load_cluster
from cluster.history import Metric, ring_of, slot_of
from cluster.store.memory import MemoryStore
from tests.scheduler.cli.bench import CLOCK
from tests.scheduler.cli.conftest import Call

START = datetime(2026, 11, 16, tzinfo=UTC)
DAY_SLOTS = 288
CHOSEN = (
    "scheduler.policy=consolidate",
    "scheduler.interval_s=600",
    "consolidate.host_losses=0",
    "consolidate.reserve_hosts=0",
)
NIGHTS = tuple(word for chosen in CHOSEN for word in ("--set", chosen))


@pytest.fixture
def days(tmp_path: Path) -> tuple[Path, Path]:
    """A cluster file of four hosts and a trace of two days: much by day, little by night."""
    power = {"controllable": True, "watts": [[0, 100], [1, 300]], "sleep_watts": 5, "wake_s": 120, "sleep_s": 20}
    hosts = [{"id": f"h{one}", "cpu_millicores": 8000, "memory_mib": 65536, "power": power} for one in range(4)]
    guests = [
        {"id": f"g{one}", "name": f"web-{one}", "host": f"h{one % 4}", "vcpus": 4, "memory_mib": 4096}
        | {"usage": {"cpu_millicores": 500, "memory_mib": 2000}}
        for one in range(8)
    ]
    taken_at = "2026-11-18T00:00:00Z"
    document: dict[str, Any] = {"schema": "trimtab.cluster/1", "taken_at": taken_at, "hosts": hosts, "guests": guests}
    cluster, loads = tmp_path / "cluster.json", tmp_path / "loads.csv"
    cluster.write_text(json.dumps(document))
    with loads.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "guest", "cpu_millicores"))
        for slot in range(2 * DAY_SLOTS):
            moment = (START + timedelta(seconds=300 * slot)).isoformat()
            level = 200 + 2400 * max(0.0, math.sin((slot % DAY_SLOTS - 72) / DAY_SLOTS * 2 * math.pi))
            writer.writerows((moment, f"web-{one}", round(level)) for one in range(8))
    return cluster, loads


def test_quiet_hours_let_hosts_sleep_and_overload_nobody(trimtab: Call, days: tuple[Path, Path]) -> None:
    """Less energy than with everything on, no more overload, and a forecast better than persistence."""
    cluster, loads = days
    ended = trimtab("backtest", "--from", str(cluster), "--trace", str(loads), "--for", "86400", *NIGHTS, "--json")
    assert ended.status == 0, ended.err
    found = ended.json
    assert found["start"] == "2026-11-17T00:00:00Z" and found["lasted_s"] == 86400
    assert found["hosts"] == 4 and found["guests"] == 8 and found["missing"] == [] and found["wrong"] == []
    assert found["kwh"] < 0.9 * found["all_on_kwh"]
    assert found["moves_done"] > 0 and found["wakes"] > 0
    assert found["host_overload_min"] == found["all_on_host_overload_min"] == {}
    assert found["forecast"]["forecast"] < found["forecast"]["persistence"]


def test_a_second_run_says_the_same(trimtab: Call, days: tuple[Path, Path]) -> None:
    """Nothing of the machine's clock reaches a replay; for people it is in words."""
    cluster, loads = days
    words = ("backtest", "--from", str(cluster), "--trace", str(loads), "--for", "7200", *NIGHTS)
    first = trimtab(*words)
    assert first.status == 0 and "hosts overloaded    never" in first.out and "wake-ups" in first.out
    assert trimtab(*words).out == first.out


def test_the_stores_own_history_is_replayed(simulated: Call, store: MemoryStore, tmp_path: Path) -> None:
    """Of the cluster as it is now; guests by id."""
    assert simulated("capture", str(tmp_path / "now.json")).status == 0
    refused = simulated("backtest")
    assert refused.status == 2 and "no history" in refused.err and refused.err.count("\n") == 1
    snapshot = load_cluster(tmp_path / "now.json")
    first = slot_of(CLOCK.now()) - 40
    for guest in snapshot.guests:
        store.fill(guest.id, Metric.CPU_MILLICORES, ring_of(first, [300] * 40))
    ended = simulated("backtest", "--set", "scheduler.interval_s=300", "--json")
    assert ended.status == 0, ended.err
    assert ended.json["guests"] == len(snapshot.guests) and ended.json["lasted_s"] == 40 * 300
    assert store.active_plan() is None and store.plans(5) == ()


def test_bad_input_is_one_line(trimtab: Call, days: tuple[Path, Path], tmp_path: Path) -> None:
    """Status 2, naming what is wrong and what to do."""
    cluster, loads = days
    other = tmp_path / "other.csv"
    other.write_text("time,guest,cpu_millicores\n2026-11-16T00:00:00Z,nobody,5\n")
    for words, says in (
        (("--from", str(cluster)), "--trace FILE"),
        (("--from", str(cluster), "--trace", str(tmp_path / "none.csv")), "no such trace"),
        (("--from", str(cluster), "--trace", str(other)), "none of the 8 guests"),
        (("--from", str(tmp_path / "none.json"), "--trace", str(loads)), "none.json"),
        (("--from", str(cluster), "--trace", str(loads), "--for", "0"), "--for"),
    ):
        ended = trimtab("backtest", *words)
        assert ended.status == 2 and ended.out == "", words
        assert says in ended.err and ended.err.count("\n") == 1, ended.err
