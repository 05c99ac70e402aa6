"""What hbal is given and how its answer is read, with a stand-in for the program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.generate import generate
from benchmarks.hbal import final_hosts, run_hbal, text_data, utilisation
from cluster.errors import InputError, TrimtabError

TOLD = """\
Loaded 3 nodes, 6 instances
Initial score: 0.45285001
Trying to minimize the CV...
    1. guest-a host-0001           => host-0002             0.40 a=fa:host-0002
   12. guest-b host-0000           => host-0002             0.39 a=fa:host-0002
  100. guest-a host-0002           => host-0000             0.38 a=fa:host-0000
Cluster score improved from 0.45285001 to 0.38
"""


def stand_in(folder: Path, script: str) -> Path:
    """An executable that answers as a script says."""
    path = folder / "hbal"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_text_has_five_sections_and_memory_adds_up() -> None:
    """Groups, nodes, instances, no tags, policies; free memory is total less what is on the node."""
    snapshot = generate(3, 6, seed=2)
    group, nodes, guests, rest = text_data(snapshot).split("\n\n", 3)
    assert group.startswith("default|")
    assert rest.startswith("\n|128")
    taken = dict.fromkeys((host.id for host in snapshot.hosts), 0)
    for row in guests.splitlines():
        fields = row.split("|")
        taken[fields[6]] += int(fields[1])
    for row in nodes.splitlines():
        fields = row.split("|")
        assert int(fields[1]) - int(fields[3]) == taken[fields[0]]
    assert len(guests.splitlines()) == 6


def test_cpu_load_is_a_share_of_a_host_and_nothing_else_is_load() -> None:
    """The loads of a node sum to its CPU ratio; the other three columns are zero."""
    snapshot = generate(3, 6, seed=2)
    rows = [row.split() for row in utilisation(snapshot).splitlines()]
    assert all(row[2:] == ["0", "0", "0"] for row in rows)
    expected = sum(guest.usage.cpu_millicores or 0 for guest in snapshot.guests) / 64_000
    assert sum(float(row[1]) for row in rows) == pytest.approx(expected, abs=1e-7)


def test_hosts_that_differ_in_cpu_are_refused() -> None:
    """It adds up loads as they are, so shares of different hosts would be compared as if they were alike."""
    snapshot = generate(3, 6)
    unlike = replace(snapshot, hosts=(replace(snapshot.hosts[0], cpu_millicores=1000), *snapshot.hosts[1:]))
    with pytest.raises(InputError, match="hosts must be alike"):
        utilisation(unlike)


def test_the_last_step_of_a_guest_says_where_it_ends() -> None:
    """A guest moved twice ends where the later step put it; every step counts."""
    assert final_hosts(TOLD) == ({"guest-a": "host-0000", "guest-b": "host-0002"}, 3)


def test_an_answer_is_kept_for_the_same_input_only(tmp_path: Path) -> None:
    """The second run does not start the program; another number of steps does."""
    snapshot, cache = generate(3, 6), tmp_path / "cache"
    program = stand_in(tmp_path, f"cat <<'END'\n{TOLD}END")
    first = run_hbal(snapshot, 3, program, cache, None)
    assert (first.hosts["guest-b"], first.steps, first.stopped) == ("host-0002", 3, False)
    program = stand_in(tmp_path, "exit 3")
    assert run_hbal(snapshot, 3, program, cache, None) == first
    with pytest.raises(TrimtabError, match="exit status 3"):
        run_hbal(snapshot, 4, program, cache, None)


def test_a_stopped_run_counts_with_its_steps_and_is_not_kept(tmp_path: Path) -> None:
    """What was told before the limit is used once; the next run with the same input starts anew."""
    cache = tmp_path / "cache"
    program = stand_in(tmp_path, f"cat <<'END'\n{TOLD}END\nexec sleep 60")
    found = run_hbal(generate(3, 6), 3, program, cache, 1.0)
    assert (found.stopped, found.steps) == (True, 3)
    assert not cache.exists()


def test_a_missing_program_is_told_with_its_package(tmp_path: Path) -> None:
    """The refusal names what to install."""
    with pytest.raises(InputError, match="ganeti-htools"):
        run_hbal(generate(3, 6), 3, tmp_path / "absent", None, None)
