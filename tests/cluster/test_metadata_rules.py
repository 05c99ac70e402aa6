"""Rules in guests' metadata labels: what becomes a rule, and what is said of the rest."""

from __future__ import annotations

import pytest

from cluster.formats.metadata_rules import metadata_rules
from cluster.guest import Guest, Usage
from cluster.rules import AntiAffinity, Enforcement, Near, Pin, Rule, Selector, Spread


def guest(name: str, **labels: str) -> Guest:
    """A guest with these labels, `__` standing for a dot."""
    plain = {key.replace("__", "."): value for key, value in labels.items()}
    return Guest(id=name, host="kvm-1", vcpus=1, memory_mib=1024, usage=Usage(100), labels=plain)


@pytest.mark.parametrize(
    ("label", "text", "rule"),
    [
        (
            "trimtab__rule__anti_affinity__web.apart",
            "domain=rack",
            AntiAffinity(name="web.apart", guests=Selector(ids=("a", "b")), domain="rack"),
        ),
        (
            "trimtab__rule__pin__licence",
            "enforcement=hard;hosts=kvm-1, kvm-2",
            Pin(
                name="licence",
                guests=Selector(ids=("a", "b")),
                hosts=Selector(ids=("kvm-1", "kvm-2")),
                enforcement=Enforcement.HARD,
            ),
        ),
        (
            "trimtab__rule__spread__db",
            "at_least=2;domain=zone;enforcement=soft;weight=2.5",
            Spread(
                name="db",
                guests=Selector(ids=("a", "b")),
                domain="zone",
                at_least=2,
                enforcement=Enforcement.SOFT,
                weight=2.5,
            ),
        ),
        (
            "trimtab__rule__near__cache",
            "to=c",
            Near(name="cache", guests=Selector(ids=("a", "b")), to=Selector(ids=("c",))),
        ),
    ],
)
def test_a_label_makes_its_guests_members_of_a_rule(label: str, text: str, rule: Rule) -> None:
    """Guests that carry the same rule label are its members, and its value holds the rule's other keys."""
    guests = [guest("b", **{label: text}), guest("a", **{label: text}), guest("c", app="web")]
    assert metadata_rules(guests) == ((rule,), ())


@pytest.mark.parametrize(
    ("label", "text", "says"),
    [
        ("trimtab__rule__glue__x", "", "found kind glue; allowed: a rule of kind "),
        ("trimtab__rule__affinity__", "", 'name: found ""; allowed: printable text'),
        ("trimtab__rule__pin__x", "", "hosts: found nothing (the key is missing); allowed: an object of labels or a "),
        ("trimtab__rule__pin__x", "hosts=,", "hosts: found an empty list; allowed: at least one label or id"),
        (
            "trimtab__rule__spread__x",
            "domain=zone;at_least=two",
            'at_least: found "two"; allowed: a whole number from 1',
        ),
        ("trimtab__rule__ignore__x", "colour=red", "colour: found an unknown key; allowed: kind, name, guests, "),
    ],
)
def test_a_label_that_is_no_rule_is_said(label: str, text: str, says: str) -> None:
    """A rule label that cannot be understood makes no rule and one sentence that names the guest."""
    rules, (said,) = metadata_rules([guest("a", **{label: text})])
    assert rules == ()
    assert said.startswith("metadata of guest a: ") and says in said


def test_members_that_disagree_make_no_rule() -> None:
    """Two guests of one rule that say different things of it are both named."""
    label = "trimtab__rule__anti_affinity__x"
    rules, (said,) = metadata_rules([guest("a", **{label: "domain=rack"}), guest("b", **{label: "domain=zone"})])
    assert rules == ()
    assert "guest a" in said and "the same as guest b says (domain=zone)" in said


def test_a_name_is_given_once() -> None:
    """Two kinds of rule with one name make the first rule and one sentence."""
    two = guest("a", trimtab__rule__affinity__x="", trimtab__rule__ignore__x="")
    rules, (said,) = metadata_rules([two])
    assert [rule.kind for rule in rules] == ["affinity"]
    assert "found a second rule x" in said
