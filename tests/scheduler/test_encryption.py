"""Encryption at planning: who stays, where to nobody goes, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.config.settings import Encryption, HostSettings, MigrationSettings, Settings
from cluster.guest import Guest, MigrationPolicy, Usage
from cluster.host import Host
from cluster.migration.encryption import under_policy
from cluster.plan import Plan
from cluster.report import HostUsage, Observation, Report
from cluster.snapshot import Snapshot
from cluster.store.memory import MemoryStore
from scheduler.cli.diagnosis import diagnose
from scheduler.planning import PlanRequest, make_plan
from scheduler.see import Sight
from scheduler.status import status_of
from tests.executors.world import START, ManualClock


def cluster(tls: dict[str, bool | None], policy: MigrationPolicy = MigrationPolicy()) -> Snapshot:  # noqa: B008 - frozen
    """One guest on host a, and hosts with or without TLS."""
    hosts = tuple(Host(name, 8000, 16384, migration_tls=has) for name, has in tls.items())
    guest = Guest("g1", "a", 1, 1024, Usage(500, 512), name="web-1", migration=policy)
    return Snapshot("s", START, hosts, (guest,))


def drain(snapshot: Snapshot, encryption: Encryption) -> Plan:
    """Plan to empty host a."""
    settings = replace(Settings(), migration=MigrationSettings(encryption=encryption))
    return make_plan(snapshot, PlanRequest(policy="drain", drained=("a",), work_limit=0.1), settings)


def test_a_guest_goes_where_it_can_be_encrypted() -> None:
    """Of two hosts that would take it, the one with TLS; a host that does not say may have it."""
    for has in (True, None):
        plan = drain(cluster({"a": True, "b": False, "c": has}), Encryption.REQUIRED)
        assert [step.target for step in plan.migrations] == ["c"]


def test_a_plan_says_that_no_target_has_tls() -> None:
    """With the hosts' names and what to do."""
    plan = drain(cluster({"a": True, "b": False, "c": False}), Encryption.REQUIRED)
    assert plan.steps == ()
    (stays,) = plan.not_moved
    assert stays.code == "no_tls"
    assert "no TLS is set up for that on b, c: see trimtab certs" in stays.text


def test_a_plan_says_that_the_source_has_no_tls() -> None:
    """The guest cannot leave, wherever it would go."""
    plan = drain(cluster({"a": False, "b": True}), Encryption.REQUIRED)
    assert [(one.code, "on a" in one.text) for one in plan.not_moved] == [("no_tls", True)]


def test_a_guest_may_demand_it_where_the_cluster_does_not() -> None:
    """Its own policy counts; without one it moves in the clear."""
    hosts: dict[str, bool | None] = {"a": True, "b": False}
    assert drain(cluster(hosts, MigrationPolicy(must_encrypt=True)), Encryption.PREFER).steps == ()
    assert len(drain(cluster(hosts), Encryption.PREFER).steps) == 1


def test_a_plan_says_which_moves_are_not_encrypted() -> None:
    """Where that was preferred and a host is known to have no TLS; not where it is off or nobody knows."""
    hosts: dict[str, bool | None] = {"a": True, "b": False}
    said = "not encrypted: no TLS is set up for migrations on b"
    assert said in drain(cluster(hosts), Encryption.PREFER).why
    assert said not in drain(cluster(hosts), Encryption.OFF).why
    assert "not encrypted" not in drain(cluster({"a": None, "b": None}), Encryption.PREFER).why


@pytest.mark.parametrize(
    ("encryption", "grades"),
    [("off", []), ("prefer", ["remark", "remark"]), ("required", ["refuses", "remark"])],
)
def test_doctor_names_hosts_without_tls_and_those_that_do_not_say(encryption: str, grades: list[str]) -> None:
    """An entry of the configuration goes before a report; each line says what to do."""
    clock = ManualClock()
    store = MemoryStore(clock)
    for name, has in {"a": True, "b": False, "c": None, "d": None}.items():
        seen = Observation(clock.now(), Host(name, 8000, 16384, migration_tls=has), HostUsage(), ())
        store.put_report(Report("boot", clock.now(), 1, seen), 600.0)
    settings = replace(
        Settings(),
        hosts=(HostSettings("d", migration_tls=True),),
        migration=MigrationSettings(encryption=Encryption(encryption)),
    )
    matters = [one for one in diagnose(settings, clock, lambda: store) if one.about == "certificates"]
    assert [one.grade for one in matters] == grades
    assert [("on b:" in one.text, "of c can" in one.text) for one in matters] == [(True, False), (False, True)][
        : len(grades)
    ]
    assert all(one.todo for one in matters)
    warned = status_of(Sight(cluster({"a": True, "b": False}), ()), store, settings, "", clock.now())["warnings"]
    assert (warned == ["no TLS is set up for migrations on b: see trimtab certs"]) is bool(grades)


def test_only_what_is_required_is_laid_over_guests() -> None:
    """The snapshot stays the same otherwise, its name included."""
    snapshot = cluster({"a": True})
    assert under_policy(snapshot, Encryption.PREFER) is snapshot
    demanded = under_policy(snapshot, Encryption.REQUIRED)
    assert demanded.id == snapshot.id and demanded.guests[0].migration.must_encrypt
