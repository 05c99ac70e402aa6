"""The public runs as the benchmark reads them, on a run made up for the test."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.live_migration import ARCHIVE, LIMIT_MIB_S, MIB, predict_from, read_run, read_runs
from cluster.errors import InputError

PAGES = MIB // 4096


def look(at_s: float, passes: int, sent_mib: float, left_mib: float, rate_mib_s: float = 0.0) -> dict[str, Any]:
    """Return one answer of QEMU; everything sent are whole pages."""
    ram = {
        "total": 1024 * MIB,
        "transferred": round(sent_mib * MIB),
        "normal-bytes": round(sent_mib * MIB),
        "remaining": round(left_mib * MIB),
        "dirty-sync-count": passes,
        "dirty-pages-rate": round(rate_mib_s * PAGES),
    }
    return {"query_migrate": {"status": "active", "total-time": round(1000 * at_s), "ram": ram}}


def made_up() -> list[dict[str, Any]]:
    """Return a run of 512 MiB at 128 MiB/s: 4 s of first pass, 40 MiB dirtied in it, 14 MiB in the next second."""
    looks: list[dict[str, Any]] = [{"query_migrate": {}}]
    looks += [look(tenth / 10, 1, 12.8 * tenth, 512 - 12.8 * tenth) for tenth in range(1, 40)]
    looks += [look(4.1 + tenth / 10, 2, 525 + 5 * tenth, 40 - 3 * tenth, 10.0) for tenth in range(10)]
    looks.append(look(5.1, 3, 580, 14, 14.0))
    last = look(5.2, 5, 600, 0)
    last["query_migrate"] |= {"status": "completed", "downtime": 20}
    return [*looks, last]


def test_a_run_says_what_it_took_and_what_it_shows_of_its_guest() -> None:
    """Time, MiB, memory in use, and how much was dirtied in each pass that was seen from end to end."""
    run = read_run("made up", 1, made_up())
    assert (run.seconds, run.mib, run.downtime_s, run.total_mib) == (5.2, 600, 0.02, 1024)
    assert run.memory_mib == pytest.approx(512)
    first, second = run.passes
    assert [first.seconds, first.dirtied_mib] == pytest.approx([4.0, 40.0])
    assert [second.seconds, second.dirtied_mib] == pytest.approx([1.05, 14.7], abs=0.1)
    assert run.switch_mib_s >= LIMIT_MIB_S


def test_a_run_is_predicted_from_others_of_its_guest() -> None:
    """All of the memory once, then what the two passes dirtied, then the rest at once."""
    run = read_run("made up", 1, made_up())
    cost = predict_from([run, run])
    assert cost.converges
    assert 512 + 30 < cost.mib < 512 + 100
    assert cost.seconds == pytest.approx(cost.mib / LIMIT_MIB_S, rel=0.1)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """No archive, or a run that did not complete."""
    with pytest.raises(InputError, match=ARCHIVE):
        read_runs(tmp_path)
    with pytest.raises(InputError, match="did not complete"):
        read_run("made up", 1, made_up()[:-1])


def test_runs_come_in_order(tmp_path: Path) -> None:
    """By scenario and number, whatever the archive's order."""
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as archive:
        for number in (10, 2):
            path = tmp_path / f"mig-stats-run-{number}.json"
            path.write_text(json.dumps(made_up()))
            archive.add(path, f"Made_Up/{path.name}")
    assert [(run.scenario, run.number) for run in read_runs(tmp_path)] == [("Made_Up", 2), ("Made_Up", 10)]
