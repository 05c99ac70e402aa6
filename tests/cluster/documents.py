"""Good documents as parsed JSON, changed in one place to make bad ones, and what a reader says of those."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

from cluster.errors import InputError
from tests.strategies import texts

Path = tuple[str | int, ...]

GONE = object()
"""As a new value: take the key away."""

CLUSTER: dict[str, Any] = {
    "schema": "trimtab.cluster/1",
    "taken_at": "2026-11-22T20:00:00Z",
    "hosts": [
        {
            "id": "kvm-a1",
            "cpu_millicores": 64000,
            "memory_mib": 262144,
            "net_mbit_s": 25000,
            "disk_mib_s": 2000,
            "reserved": {"cpu_millicores": 1000, "memory_mib": 4096},
            "migration_mbit_s": 10000,
            "reachable": True,
            "measured_at": "2026-11-22T19:59:55Z",
            "domains": {"rack": "r1", "zone": "z1"},
            "labels": {"generation": "7"},
            "cpu_models": ["x86-64-v2", "x86-64-v3"],
            "machines": ["pc-q35-7.2"],
            "storage": ["ceph"],
            "networks": ["prod"],
            "power": {
                "state": "on",
                "controllable": True,
                "watts": [[0, 110], [0.5, 210], [1, 320]],
                "sleep_watts": 6,
                "wake_s": 180,
                "sleep_s": 30,
            },
            "cordoned": False,
            "failing": False,
        },
        {"id": "kvm-b2", "cpu_millicores": 32000, "memory_mib": 131072},
    ],
    "guests": [
        {
            "id": "2f0c5b2e-8f5e-5b54-9f57-7d3f5d9b7f10",
            "name": "web-1",
            "host": "kvm-a1",
            "vcpus": 4,
            "memory_mib": 8192,
            "overhead_mib": 256,
            "usage": {"cpu_millicores": 1200, "memory_mib": 6000, "net_mbit_s": 10, "disk_mib_s": 1},
            "dirty": {"mib_s": 15, "over_s": 1, "hot_mib": 300},
            "local_disk_mib": 0,
            "hugepages_mib": 0,
            "cpu_model": "x86-64-v2",
            "machine": "pc-q35-7.2",
            "storage": ["ceph"],
            "networks": ["prod"],
            "movable": True,
            "why_not": None,
            "priority": 0,
            "labels": {"app": "web"},
            "migration": {"max_downtime_ms": 300, "allow_postcopy": False, "latency_sensitive": False},
        },
        {"id": "web-2", "host": "kvm-b2", "vcpus": 1, "memory_mib": 1024, "usage": {"cpu_millicores": 100}},
    ],
    "rules": [
        {
            "kind": "anti_affinity",
            "name": "web-apart",
            "guests": {"app": "web"},
            "domain": "host",
            "enforcement": "repair",
        }
    ],
}

_FIGURES = {
    "hosts_on": 12,
    "watts": 2710,
    "cpu_max": 0.912,
    "cpu_stdev": 0.18,
    "memory_max": 0.93,
    "memory_stdev": 0.201,
    "broken_rules": 2,
}
_ESTIMATE = {"mib": 9100, "seconds": 15.3, "downtime_ms": 40, "converges": 0.99, "mbit_s": 5000}

PLAN: dict[str, Any] = {
    "schema": "trimtab.plan/1",
    "id": "01JD",
    "snapshot": "0123456789abcdef",
    "policy": "balance",
    "level": 3,
    "seed": 1,
    "made_at": "2026-11-22T20:00:00Z",
    "expires_at": "2026-11-22T20:15:00Z",
    "status": "feasible",
    "why": "one sentence for a person",
    "goals": [{"tier": "repair", "before": 2, "after": 0, "bound": 0, "gap": 0}],
    "gap": 0.0128,
    "steps": [
        {
            "id": "s1",
            "after": [],
            "kind": "migrate",
            "guest": "web-1",
            "from": "kvm-a1",
            "to": "kvm-c3",
            "parking": True,
            "reason": "makes room",
            "estimate": _ESTIMATE,
        },
        {
            "id": "s2",
            "after": ["s1"],
            "kind": "migrate",
            "guest": "web-1",
            "guest_name": "web-1",
            "from": "kvm-c3",
            "to": "kvm-b2",
            "parking": False,
            "reason": "anti_affinity:web-apart broken on kvm-a1",
            "gain_share": 0.31,
            "estimate": _ESTIMATE,
        },
        {"id": "s3", "after": ["s2"], "kind": "sleep", "host": "kvm-a1", "reason": "empty", "saves_watts": 98},
        {"id": "s4", "after": [], "kind": "wake", "host": "kvm-d4", "reason": "room is needed"},
    ],
    "before": _FIGURES,
    "after": _FIGURES,
    "blamed": [],
    "not_moved": [{"guest": "db-1", "code": "does_not_converge", "text": "it dirties memory too fast"}],
    "makespan_s": 310,
    "makespan_bound_s": 290,
    "moved_mib": 150000,
    "solve_s": 0.42,
}


def changed(document: dict[str, Any], *changes: tuple[Path, object]) -> dict[str, Any]:
    """Return a copy with other values at some paths; `GONE` takes away, a place after a list's last adds."""
    whole: dict[str, Any] = json.loads(json.dumps(document))  # unlike a deep copy, shares nothing
    for path, value in changes:
        place: Any = whole
        for part in path[:-1]:
            place = place[part]
        if value is GONE:
            del place[path[-1]]
        elif isinstance(place, list) and path[-1] == len(place):
            place.append(value)
        else:
            place[path[-1]] = value
    return whole


def paths(document: object, path: Path = ()) -> Iterator[Path]:
    """Every place in a document but the whole."""
    children: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(document, dict):
        children = iter(document.items())
    elif isinstance(document, list):
        children = iter(enumerate(document))
    for key, one in children:
        yield (*path, key)
        yield from paths(one, (*path, key))


def refusal(read: Callable[[], object]) -> str:
    """What the reader says when it refuses: one printable line, exit status 2."""
    with pytest.raises(InputError) as caught:
        read()
    assert caught.value.exit_status == 2
    text = str(caught.value)
    assert len(text.splitlines()) == 1, text
    return text


def accepted_or_refused(read: Callable[[], object]) -> None:
    """Read; fail on anything but success or one line."""
    try:
        read()
    except InputError as error:
        assert len(str(error).splitlines()) == 1, error


odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | texts
    | st.sampled_from([[], {}, "", 0, -1, 1.5, "x_", "2026-11-22", "kvm-a1", "NaN", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
"""Values of any JSON type, NaN and Infinity among them."""
