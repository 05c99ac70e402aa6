"""`explain` as a person calls it: a guest, a host, a plan of the journal, and what is none of them."""

from __future__ import annotations

import json
from pathlib import Path

from cluster.store.memory import MemoryStore
from tests.scheduler.cli.conftest import Call


def test_a_guest_and_where_it_can_go(trimtab: Call, tiny_file: Path) -> None:
    """By name or id; every other host is in the answer."""
    document = json.loads(tiny_file.read_text())
    document["hosts"][1]["cordoned"] = True
    tiny_file.write_text(json.dumps(document))
    told = trimtab("explain", "web-1", "--from", str(tiny_file))
    assert told.status == 0
    assert "guest web-1 on a" in told.out
    assert "not on b: host b is cordoned" in told.out
    answer = trimtab("explain", document["guests"][0]["id"], "--from", str(tiny_file), "--json").json
    assert [one["host"] for one in answer["targets"]] == ["b", "c"]
    assert answer["targets"][0]["for_good"] is True


def test_a_host_and_who_can_leave_it(trimtab: Call, tiny_file: Path) -> None:
    """Who is bound to it says why."""
    document = json.loads(tiny_file.read_text())
    document["guests"][2] |= {"movable": False, "why_not": "has a passthrough device"}
    tiny_file.write_text(json.dumps(document))
    told = trimtab("explain", "a", "--from", str(tiny_file))
    assert "host a: " in told.out
    assert "web-3: stays: has a passthrough device" in told.out
    assert len(trimtab("explain", "a", "--from", str(tiny_file), "--json").json["guests"]) == 3


def test_a_plan_of_the_journal_and_a_guests_moves(simulated: Call, store: MemoryStore) -> None:
    """Its steps with their ends; the guest it moved tells of it, too."""
    assert simulated("drain", "a").status == 0
    plan = store.plans(1)[0].plan
    told = simulated("explain", plan.id)
    assert (told.status, "s1 done: runs on" in told.out) == (0, True)
    moved = simulated("explain", plan.migrations[0].guest, "--json").json["moves"]
    assert (moved[0]["state"], moved[0]["reason"]) == ("done", "drains a")


def test_what_is_not_known_is_refused_with_what_is(trimtab: Call, tiny_file: Path) -> None:
    """One line, status 2."""
    told = trimtab("explain", "nobody", "--from", str(tiny_file))
    assert (told.status, told.out, told.err.count("\n")) == (2, "", 1)
    assert "allowed: a guest, a host, or a plan of the journal: a, b, c, web-1" in told.err
