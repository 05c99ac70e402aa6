"""Each rule kind lowered: what its form counts as broken equals a count made directly from the rule."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.guest import Guest
from cluster.host import Host
from cluster.problem import MoveLimit
from cluster.rules import Affinity, AntiAffinity, Forbid, GroupMoveLimit, Ignore, Near, Pin, Rule, Spread
from cluster.snapshot import Snapshot
from policies.rules.registry import lower
from scheduler.solver import forms
from tests.strategies import snapshots


def direct(rule: Rule, snapshot: Snapshot, where: dict[str, Host]) -> int:
    """Broken things of a rule by its docstring, with `where` the host of each guest."""

    def selected(which: str = "guests") -> list[Guest]:
        return [guest for guest in snapshot.guests if getattr(rule, which).matches(guest)]

    match rule:
        case AntiAffinity():
            cells = [where[guest.id].domain(rule.domain) for guest in selected()]
            return sum(a == b for a, b in combinations(cells, 2))
        case Affinity():
            cells = [where[guest.id].domain(rule.domain) for guest in selected()]
            return sum(a != b for a, b in combinations(cells, 2))
        case Spread():
            cells = [where[guest.id].domain(rule.domain) for guest in selected()]
            return max(0, rule.at_least - len(set(cells))) if cells else 0
        case Pin():
            return sum(not rule.hosts.matches(where[guest.id]) for guest in selected())
        case Forbid():
            return sum(rule.hosts.matches(where[guest.id]) for guest in selected())
        case Near():
            return sum(
                not any(
                    other.id != guest.id and where[other.id].domain(rule.domain) == where[guest.id].domain(rule.domain)
                    for other in selected("to")
                )
                for guest in selected()
            )
        case GroupMoveLimit() | Ignore():
            return 0


@settings(max_examples=150, deadline=None)
@given(snapshot=snapshots(max_hosts=5, max_guests=10, min_hosts=2, max_rules=6), data=st.data())
def test_forms_count_what_the_rules_say(snapshot: Snapshot, data: st.DataObject) -> None:
    """For any placement the broken count of every form equals the direct one, and so does every change by a shift."""
    hosts = sorted(snapshot.hosts, key=lambda host: host.id)
    ids = sorted(guest.id for guest in snapshot.guests)
    index = {guest: i for i, guest in enumerate(ids)}
    places = [data.draw(st.integers(0, len(hosts) - 1)) for _ in ids]
    for rule in snapshot.rules:
        form = lower(rule, snapshot)
        if form is None or isinstance(form, MoveLimit):
            continue
        arrays = forms.lower(form, index, [host.id for host in hosts])
        assert isinstance(arrays, forms.ArrayForm)

        def count(placed: list[int], rule: Rule = rule) -> int:
            return direct(rule, snapshot, {guest: hosts[placed[index[guest]]] for guest in ids})

        now = count(places)
        place = np.array(places, dtype=np.intp)
        assert arrays.broken(place) == now
        changes = arrays.deltas(place)
        for column, member in enumerate(arrays.members.tolist()):
            for host in range(len(hosts)):
                then = [host if guest == member else old for guest, old in enumerate(places)]
                assert changes[host, column] == count(then) - now
