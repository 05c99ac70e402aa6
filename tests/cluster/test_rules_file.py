"""Rules as files hold them: every kind, its defaults, the names of nameless ones, and what is refused."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.formats.reader import Value
from cluster.formats.rules_file import KINDS, read_rules, rule_to_json
from cluster.rules import (
    Affinity,
    AntiAffinity,
    Enforcement,
    Forbid,
    GroupMoveLimit,
    Ignore,
    Near,
    Pin,
    Rule,
    Selector,
    Spread,
)
from tests.cluster.documents import refusal
from tests.strategies import rules

WEB = Selector(labels={"app": "web"})
IDS = Selector(ids=("g-1", "g-2"))


def read(*raw: dict[str, Any]) -> tuple[Rule, ...]:
    """Read a list of rules out of a file `rules.toml`."""
    return read_rules(Value({"rules": list(raw)}, "rules.toml").at("rules"))


def test_every_rule_kind_is_registered_under_its_own_name() -> None:
    """The registry holds each class of `Rule` once."""
    assert set(KINDS) == {cls.kind for cls in get_args(Rule)}


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        ({"kind": "anti_affinity", "guests": {"app": "web"}}, AntiAffinity(name="anti_affinity-1", guests=WEB)),
        (
            {"kind": "affinity", "name": "n", "guests": ["g-1", "g-2"], "domain": "rack", "enforcement": "hard"},
            Affinity(name="n", guests=IDS, domain="rack", enforcement=Enforcement.HARD),
        ),
        (
            {
                "kind": "spread",
                "name": "n",
                "guests": {"app": "web"},
                "domain": "zone",
                "at_least": 2,
                "enforcement": "soft",
                "weight": 2,
            },
            Spread(name="n", guests=WEB, domain="zone", at_least=2, enforcement=Enforcement.SOFT, weight=2.0),
        ),
        (
            {"kind": "pin", "guests": {"app": "web"}, "hosts": ["a"]},
            Pin(name="pin-1", guests=WEB, hosts=Selector(ids=("a",))),
        ),
        (
            {"kind": "forbid", "guests": {"app": "web"}, "hosts": {"old": "yes"}},
            Forbid(name="forbid-1", guests=WEB, hosts=Selector(labels={"old": "yes"})),
        ),
        ({"kind": "near", "guests": {"app": "web"}, "to": ["g-1", "g-2"]}, Near(name="near-1", guests=WEB, to=IDS)),
        (
            {"kind": "group_move_limit", "guests": {"app": "web"}, "at_most": 0},
            GroupMoveLimit(name="group_move_limit-1", guests=WEB, at_most=0),
        ),
        ({"kind": "ignore", "guests": ["g-1", "g-2"], "x_who": "me"}, Ignore(name="ignore-1", guests=IDS)),
    ],
)
def test_every_kind_is_read_with_its_defaults(raw: dict[str, Any], rule: Rule) -> None:
    """Each kind arrives as its class; enforcement is `repair` and the domain `host` where nothing is said."""
    assert read(raw) == (rule,)


def test_a_nameless_rule_is_called_after_its_kind_and_number() -> None:
    """The number counts the rules of the kind, named ones included, so that names stay when one is named."""
    ignore = {"kind": "ignore", "guests": ["g"]}
    pin = {"kind": "pin", "guests": ["g"], "hosts": ["a"]}
    assert [rule.name for rule in read(ignore, pin, ignore | {"name": "second"}, ignore)] == [
        "ignore-1",
        "pin-1",
        "second",
        "ignore-3",
    ]


PIN = {"kind": "pin", "name": "p", "guests": ["g"], "hosts": ["a"]}
SPREAD = {"kind": "spread", "name": "s", "guests": ["g"], "domain": "rack", "at_least": 2}


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ([3], "rules[0]: found 3; allowed: an object with a kind"),
        ([{}], 'rules[0].kind: found nothing (the key is missing); allowed: "anti_affinity", "affinity", "spread", '),
        ([PIN | {"kind": "pins"}], 'rules[0].kind: found "pins"; allowed: '),
        ([PIN | {"kind": "anti-affinity"}], 'did you mean "anti_affinity"?'),
        (
            [PIN | {"guest": []}],
            "rules[0].guest: found an unknown key; allowed: kind, name, guests, hosts, enforcement, ",
        ),
        ([PIN | {"domain": "rack"}], "rules[0].domain: found an unknown key; allowed: kind, name, guests, hosts"),
        ([PIN | {"hosts": []}], "rules[0].hosts: found an empty list; allowed: at least one label or id"),
        ([PIN | {"hosts": {}}], "rules[0].hosts: found an empty object; allowed: at least one label or id"),
        ([PIN | {"hosts": "a"}], 'rules[0].hosts: found "a"; allowed: an object of labels or a list of ids'),
        ([PIN | {"guests": {"app": 1}}], "rules[0].guests.app: found 1; allowed: text"),
        ([PIN | {"name": ""}], 'rules[0].name: found ""; allowed: printable text of 1 to 256 characters'),
        (
            [PIN, SPREAD | {"name": "p"}],
            'rules[1].name: found "p", which rules[0] is already; allowed: each rule name ',
        ),
        ([SPREAD | {"at_least": 0}], "rules[0].at_least: found 0; allowed: a whole number from 1 up"),
        ([SPREAD | {"at_least": "2"}], 'rules[0].at_least: found "2"; allowed: a whole number from 1 up'),
        ([SPREAD | {"enforcement": "must"}], 'rules[0].enforcement: found "must"; allowed: "repair", "hard" or "soft"'),
        (
            [SPREAD | {"weight": 2}],
            'rules[0].weight: found 2; allowed: no weight with enforcement "repair"; it is for ',
        ),
        ([SPREAD | {"weight": 0, "enforcement": "soft"}], "rules[0].weight: found 0; allowed: a number above 0"),
        (
            [{"kind": "ignore", "guests": ["g"], "enforcement": "soft"}],
            'rules[0].enforcement: found "soft"; allowed: "repair" or "hard" (ignore always binds)',
        ),
        (
            [{"kind": "group_move_limit", "guests": ["g"], "at_most": -1}],
            "rules[0].at_most: found -1; allowed: a whole ",
        ),
    ],
)
def test_bad_rules_are_refused_on_one_line(raw: list[Any], says: str) -> None:
    """Each kind of bad rule is refused with its file, its path, what was found and what is allowed."""
    said = refusal(lambda: read(*raw))
    assert said.startswith("rules.toml: rules[") and says in said


@given(st.lists(rules("r", ["a", "b"], ["g-1", "g-2"]), max_size=1))
def test_rules_written_are_read_back_equal(some: list[Rule]) -> None:
    """Writing and reading changes nothing."""
    assert read(*json.loads(json.dumps([rule_to_json(rule) for rule in some]))) == tuple(some)
