"""Looking up who a rule names gives those whom its selector matches one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster.guest import Guest, Usage
from cluster.rules import Selector
from cluster.rules.directory import Directory

names = st.sampled_from(("", "a", "b", "c"))
labels = st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3)
selectors = st.builds(lambda one: Selector(labels=one), labels) | st.builds(
    lambda ids: Selector(ids=tuple(ids)), st.lists(names, max_size=3)
)


@st.composite
def crowds(draw: st.DrawFn) -> list[Guest]:
    """Guests whose ids, names and labels are often alike."""
    return [
        Guest(id=one, host="h", vcpus=1, memory_mib=1, usage=Usage(1), name=draw(names), labels=draw(labels))
        for one in draw(st.lists(st.sampled_from("abcdef"), unique=True))
    ]


@given(crowds(), selectors)
def test_a_directory_finds_those_whom_the_selector_matches(guests: list[Guest], selector: Selector) -> None:
    """By id, by name or by all labels, in the order given, each once."""
    assert Directory(guests).select(selector) == [one.id for one in guests if selector.matches(one)]
