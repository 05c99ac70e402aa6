"""Rate limits: which permits a migration needs, and which guests have used up their day."""

from __future__ import annotations

from dataclasses import replace

from cluster.config.settings import GroupSettings, RateSettings
from cluster.guest import Guest, Usage
from cluster.plan import EVACUATE
from cluster.rates import DAY_S, HOUR_S, UNBOUND, permits_of, used_up
from cluster.rules import Selector
from tests.cluster.store.builders import migrate, plan

ALL = RateSettings(guest_per_day=2, host_out_per_hour=3, host_in_per_hour=4, cluster_per_hour=5)
WEB = GroupSettings("web", Selector(labels={"app": "web"}), 1)
DB = GroupSettings("db", Selector(ids=("g2",)), 1)


def guest(name: str, **labels: str) -> Guest:
    """A guest on host a."""
    return Guest(name, "a", 1, 1024, Usage(100), labels=labels)


def test_every_limit_asks_for_its_permit() -> None:
    """The guest's day, both hosts' hours, the cluster's hour, and each group the guest belongs to."""
    made = plan("p1")
    permits = permits_of(made, made.migrations[0], guest("g1", app="web"), ALL, (WEB, DB))
    assert [(one.key, one.most, one.within_s) for one in permits] == [
        ("guest:g1", 2, DAY_S),
        ("host_out:a", 3, HOUR_S),
        ("host_in:b", 4, HOUR_S),
        ("cluster", 5, HOUR_S),
        ("group:web", 1, None),
    ]


def test_without_limits_no_permit_is_needed() -> None:
    """The default: nothing is counted."""
    made = plan("p1")
    assert permits_of(made, made.migrations[0], guest("g1", app="web"), RateSettings(), ()) == ()


def test_emptying_a_failing_host_is_counted_and_waits_for_no_hour() -> None:
    """Only how many of a group are under way binds it."""
    made = replace(plan("p1"), policy=EVACUATE)
    permits = permits_of(made, made.migrations[0], guest("g1", app="web"), ALL, (WEB,))
    assert [one.key for one in permits if one.most == UNBOUND] == ["guest:g1", "host_out:a", "host_in:b", "cluster"]
    assert [(one.key, one.most) for one in permits if one.most != UNBOUND] == [("group:web", 1)]


def test_a_guest_that_nobody_knows_is_in_no_group() -> None:
    """Its other limits hold all the same."""
    made = plan("p1")
    permits = permits_of(made, made.migrations[1], None, replace(ALL, cluster_per_hour=None), (DB,))
    assert [one.key for one in permits] == ["guest:g2", "host_out:a", "host_in:b"]


def test_a_parked_guest_counts_as_moved_once() -> None:
    """Its final move needs no second permit of the day: it must not be left where it is parked."""
    made = plan("p1", ("g1",), sleeps=False)
    final = replace(migrate("s2", "g1", ("s1",)), source="b", target="c")
    made = replace(made, steps=(*made.steps, final))
    permits = permits_of(made, final, guest("g1"), ALL, ())
    assert [one.key for one in permits] == ["host_out:b", "host_in:c", "cluster"]


def test_a_guest_that_has_used_up_its_day_is_named_with_its_reason() -> None:
    """At the limit and beyond; others and a cluster without the limit are left alone."""
    guests = [guest("g1"), guest("g2"), guest("g3")]
    taken = {"guest:g1": 2, "guest:g2": 1, "guest:g3": 3, "cluster": 9}
    found = used_up(guests, ALL, taken)
    assert {name: code for name, (code, _) in found.items()} == {"g1": "rate_limit", "g3": "rate_limit"}
    assert found["g1"][1] == "moved 2 times within a day, 2 allowed (rates.guest_per_day)"
    assert used_up(guests, RateSettings(), taken) == {}
