"""Guests that stay on a drained host, each with the reason that is true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cluster.config.settings import Settings
from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.snapshot import Snapshot
from scheduler.planning import PlanRequest, make_plan

GUESTS = tuple(Guest(id=f"g{n}", host="a", vcpus=1, memory_mib=4096, usage=Usage(500)) for n in range(3))
HOSTS = (Host("a", 8000, 16384), Host("b", 8000, 16384))
CLUSTER = Snapshot("s", datetime(2026, 11, 23, tzinfo=UTC), HOSTS, GUESTS)

SMALL = replace(CLUSTER, hosts=(HOSTS[0], replace(HOSTS[1], memory_mib=9000)))
STRANGE = replace(CLUSTER, guests=(replace(GUESTS[0], storage=("ceph",)), *GUESTS[1:]),
                  hosts=(HOSTS[0], replace(HOSTS[1], storage=("nfs",))))  # fmt: skip
HELD = replace(CLUSTER, guests=(replace(GUESTS[0], movable=False, why_not="has a CD in"), *GUESTS[1:]))


@pytest.mark.parametrize(
    ("snapshot", "most", "code", "says"),
    [
        (CLUSTER, 2, "cap_reached", "the plan has its most moves already (2)"),
        (SMALL, None, "no_room", "no other host has room for it within limits and rules"),
        (STRANGE, None, "incompatible", "g0 stays on a: no other host can run it"),
        (HELD, None, "not_movable", "g0 cannot be moved: has a CD in"),
    ],
    ids=["cap", "room", "storage", "not movable"],
)
def test_who_stays_is_told_why(snapshot: Snapshot, most: int | None, code: str, says: str) -> None:
    """One of three guests stays, with a stable code and a sentence; the other two leave."""
    request = PlanRequest(policy="drain", drained=("a",), max_moves=most, work_limit=0.2)
    plan = make_plan(snapshot, request, Settings())
    assert len(plan.migrations) == 2
    (left,) = plan.not_moved
    assert left.code == code
    assert says in left.text
