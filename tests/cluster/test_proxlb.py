"""ProxLB's tags as rules."""

from __future__ import annotations

from cluster.guest import Guest, Usage
from cluster.rules import Affinity, AntiAffinity, Ignore, Pin, Selector
from cluster.rules.proxlb import proxlb_problems, proxlb_rules, rules_from_tags


def guest(name: str, labels: dict[str, str]) -> Guest:
    """A guest with these labels."""
    return Guest(id=name, host="kvm-1", vcpus=1, memory_mib=1024, usage=Usage(100), labels=labels)


def test_each_tag_becomes_its_rule() -> None:
    """Guests with the same tag make one rule called after it, members sorted."""
    rules = rules_from_tags(
        {
            "b": ["plb_affinity_app", "plb_anti_affinity_web"],
            "a": ["plb_anti_affinity_web", "plb_affinity_app", "plb_anti_affinity_web"],
            "c": ["plb_ignore_dev", "other", "plb_pin_kvm-1"],
        }
    )
    assert rules == (
        Affinity(name="plb_affinity_app", guests=Selector(ids=("a", "b"))),
        AntiAffinity(name="plb_anti_affinity_web", guests=Selector(ids=("a", "b"))),
        Ignore(name="plb_ignore_dev", guests=Selector(ids=("c",))),
        Pin(name="plb_pin_kvm-1", guests=Selector(ids=("c",)), hosts=Selector(ids=("kvm-1",))),
    )


def test_several_pins_of_a_guest_allow_any_of_their_hosts() -> None:
    """A guest with two pin tags may be on either host, and is not in a rule with a guest that has only one."""
    rules = rules_from_tags({"a": ["plb_pin_k2", "plb_pin_k1"], "b": ["plb_pin_k1"]})
    assert rules == (
        Pin(name="plb_pin_k1", guests=Selector(ids=("b",)), hosts=Selector(ids=("k1",))),
        Pin(name="plb_pin_k1+k2", guests=Selector(ids=("a",)), hosts=Selector(ids=("k1", "k2"))),
    )


def test_tags_are_found_in_labels() -> None:
    """A tag is a label's key, or a word of the `tags` label."""
    guests = [
        guest("a", {"plb_affinity_x": "", "app": "web"}),
        guest("b", {"tags": "prod;plb_affinity_x, plb_ignore_y"}),
    ]
    assert proxlb_rules(guests) == (
        Affinity(name="plb_affinity_x", guests=Selector(ids=("a", "b"))),
        Ignore(name="plb_ignore_y", guests=Selector(ids=("b",))),
    )


def test_tags_that_are_none_are_said() -> None:
    """A tag that only begins like ProxLB's makes no rule and one sentence."""
    odd = [
        guest("a", {"plb_afinity_x": "", "plb_pin_": "", "plb_affinity_": ""}),
        guest("b", {"app": "plb_affinity_x"}),
    ]
    assert proxlb_rules(odd) == ()
    assert proxlb_problems(odd) == (
        "guest a: tag plb_affinity_ is not understood",
        "guest a: tag plb_afinity_x is not understood",
        "guest a: tag plb_pin_ is not understood",
    )
