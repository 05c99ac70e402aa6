"""Rules that contradict each other on their face: which are found, which are left to the solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.rules import Affinity, AntiAffinity, Enforcement, Forbid, Ignore, Pin, Rule, Selector, Spread
from cluster.rules.contradictions import find_contradictions, find_in_rules_alone

HOSTS = [
    Host("a", 8000, 16384, domains={"rack": "r1"}, labels={"fast": "yes"}),
    Host("b", 8000, 16384, domains={"rack": "r1"}),
    Host("c", 8000, 16384, domains={"rack": "r2"}),
]
GUESTS = [
    Guest(f"g{number}", "a", 1, 1024, Usage(100), name=f"web-{number}", labels={"app": "web"}) for number in range(3)
]

WEB = Selector(labels={"app": "web"})
G0, G01 = Selector(ids=("g0",)), Selector(ids=("g0", "g1"))
A, B, AB, ABC, FAST = (
    Selector(ids=("a",)),
    Selector(ids=("b",)),
    Selector(ids=("a", "b")),
    Selector(ids=("a", "b", "c")),
    Selector(labels={"fast": "yes"}),
)
HARD = Enforcement.HARD


def found(rules: Sequence[Rule]) -> list[tuple[str, str]]:
    """Names of the rules found to contradict, as pairs."""
    contradictions = find_contradictions(HOSTS, GUESTS, rules)
    for one in contradictions:
        assert one.first.title in one.text and one.second.title in one.text
    return [(one.first.name, one.second.name) for one in contradictions]


CONTRADICTORY: list[tuple[str, list[Rule]]] = [
    ("pin and forbid", [Pin(name="1", guests=G0, hosts=A), Forbid(name="2", guests=WEB, hosts=AB)]),
    ("forbid and pin", [Forbid(name="1", guests=WEB, hosts=AB), Pin(name="2", guests=G0, hosts=A)]),
    ("by label", [Pin(name="1", guests=WEB, hosts=FAST), Forbid(name="2", guests=G0, hosts=A)]),
    ("pins apart", [Pin(name="1", guests=G0, hosts=A), Pin(name="2", guests=WEB, hosts=B)]),
    ("together and apart", [Affinity(name="1", guests=WEB), AntiAffinity(name="2", guests=G01)]),
    (
        "one host, two racks",
        [Affinity(name="1", guests=G01), AntiAffinity(name="2", guests=WEB, domain="rack")],
    ),
    (
        "one rack, two racks",
        [
            Affinity(name="1", guests=WEB, domain="rack", enforcement=HARD),
            AntiAffinity(name="2", guests=WEB, domain="rack", enforcement=HARD),
        ],
    ),
    ("nowhere to pin", [Pin(name="1", guests=G0, hosts=Selector(ids=("z",)))]),
    ("nowhere by label", [Pin(name="1", guests=G0, hosts=Selector(labels={"fast": "no"}))]),
    ("forbidden everywhere", [Forbid(name="1", guests=G0, hosts=ABC)]),
    ("too few racks", [Spread(name="1", guests=WEB, domain="rack", at_least=3, enforcement=HARD)]),
]


@pytest.mark.parametrize("rules", [rules for _, rules in CONTRADICTORY], ids=[title for title, _ in CONTRADICTORY])
def test_a_contradiction_names_both_rules(rules: list[Rule]) -> None:
    """Rules that no placement could satisfy are found, both named; one by itself is named as both."""
    assert found(rules) == [(rules[0].name, rules[-1].name)]


@pytest.mark.parametrize("rules", [rules for _, rules in CONTRADICTORY], ids=[title for title, _ in CONTRADICTORY])
def test_a_soft_rule_contradicts_nothing(rules: list[Rule]) -> None:
    """The same rules are no contradiction once one of them is a goal only."""
    assert found([replace(rules[0], enforcement=Enforcement.SOFT), *rules[1:]]) == []


@pytest.mark.parametrize(
    "rules",
    [
        [Pin(name="1", guests=G0, hosts=AB), Forbid(name="2", guests=WEB, hosts=A)],
        [Pin(name="1", guests=G0, hosts=AB), Pin(name="2", guests=WEB, hosts=B)],
        [Pin(name="1", guests=G0, hosts=A), Forbid(name="2", guests=Selector(ids=("g1",)), hosts=A)],
        [Pin(name="1", guests=G01, hosts=A), AntiAffinity(name="2", guests=G01)],
        [Affinity(name="1", guests=G01, domain="rack"), AntiAffinity(name="2", guests=G01)],
        [Affinity(name="1", guests=G01), AntiAffinity(name="2", guests=Selector(ids=("g1", "g2")))],
        [Spread(name="1", guests=WEB, domain="rack", at_least=3)],
        [Spread(name="1", guests=Selector(ids=("gone",)), domain="rack", at_least=9, enforcement=HARD)],
        [Forbid(name="1", guests=Selector(ids=("gone",)), hosts=ABC)],
        [Ignore(name="1", guests=WEB), Pin(name="2", guests=WEB, hosts=B)],
    ],
)
def test_what_some_placement_satisfies_is_no_contradiction(rules: list[Rule]) -> None:
    """Rules that can hold together, or whose guests are not there, or that only the solver can judge, pass."""
    assert found(rules) == []


def test_guests_are_found_by_name_too() -> None:
    """A rule that lists a guest's name speaks of the same guest as one that lists its id."""
    by_name = Pin(name="1", guests=Selector(ids=("web-0",)), hosts=A)
    assert found([by_name, Forbid(name="2", guests=G0, hosts=A)]) == [("1", "2")]


def test_rules_alone_show_what_no_cluster_could_hold() -> None:
    """Without hosts and guests known, only what holds for any of them is a contradiction."""
    pin, forbid = Pin(name="1", guests=WEB, hosts=A), Forbid(name="2", guests=WEB, hosts=AB)
    assert [(one.first, one.second) for one in find_in_rules_alone([pin, forbid])] == [(pin, forbid)]
    together, apart = Affinity(name="3", guests=WEB), AntiAffinity(name="4", guests=WEB)
    assert [(one.first, one.second) for one in find_in_rules_alone([together, apart])] == [(together, apart)]
    assert find_in_rules_alone([Pin(name="1", guests=WEB, hosts=FAST), forbid]) == ()
    assert find_in_rules_alone([pin, Forbid(name="2", guests=Selector(labels={"tier": "x"}), hosts=AB)]) == ()
    assert find_in_rules_alone([Forbid(name="1", guests=WEB, hosts=ABC)]) == ()
    assert find_in_rules_alone([Spread(name="1", guests=WEB, domain="rack", at_least=99, enforcement=HARD)]) == ()
