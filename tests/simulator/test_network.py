"""Laws of shared links."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulator.network import Flow, Network, SharedLink, max_min_rates

HOSTS = ("a", "b", "c", "d")
LINKS = [f"{way}:{host}" for way in ("out", "in") for host in HOSTS]

capacities = st.fixed_dictionaries({link: st.floats(1, 1000) for link in LINKS})
flows = st.lists(
    st.tuples(st.sampled_from(HOSTS), st.sampled_from(HOSTS), st.none() | st.floats(0.5, 500)), max_size=10
).map(
    lambda ends: [
        Flow(str(number), (f"out:{source}", f"in:{target}"), limit)
        for number, (source, target, limit) in enumerate(ends)
        if source != target
    ]
)


def carried(rates: dict[str, float], flows: list[Flow], link: str) -> float:
    """What a link carries."""
    return sum(rates[flow.id] for flow in flows if link in flow.links)


@given(flows, capacities)
def test_no_link_carries_more_than_it_has_and_no_cap_is_passed(flows: list[Flow], capacity: dict[str, float]) -> None:
    """Whatever crosses, capacities and caps hold."""
    rates = max_min_rates(flows, capacity)
    assert set(rates) == {flow.id for flow in flows}
    for link in LINKS:
        assert carried(rates, flows, link) <= capacity[link] * (1 + 1e-9)
    for flow in flows:
        assert flow.limit_mib_s is None or rates[flow.id] <= flow.limit_mib_s


@given(flows, capacities)
def test_each_transfer_is_held_back_by_its_cap_or_by_a_full_link_of_which_it_has_a_largest_share(
    flows: list[Flow], capacity: dict[str, float]
) -> None:
    """So is max-min fairness defined; nothing is left unused for no reason."""
    rates = max_min_rates(flows, capacity)
    for flow in flows:
        at_cap = flow.limit_mib_s is not None and rates[flow.id] >= flow.limit_mib_s * (1 - 1e-9)
        held_by = [
            link
            for link in flow.links
            if carried(rates, flows, link) >= capacity[link] * (1 - 1e-9)
            and all(rates[other.id] <= rates[flow.id] * (1 + 1e-9) for other in flows if link in other.links)
        ]
        assert at_cap or held_by


@given(flows, capacities)
@example(
    # Sums of these shares differ in their last bit with the order they are taken in.
    flows=[
        Flow("0", ("out:a", "in:d"), 18.269594063786283),
        Flow("1", ("out:a", "in:d")),
        Flow("2", ("out:a", "in:d")),
        Flow("3", ("out:c", "in:d")),
    ],
    capacity=dict.fromkeys(LINKS, 1.0) | {"out:a": 275.2316211247232, "out:c": 129.0, "in:d": 404.0},
)
def test_order_of_transfers_does_not_matter(flows: list[Flow], capacity: dict[str, float]) -> None:
    """The same transfers get the same rates, to the last bit."""
    assert max_min_rates(flows, capacity) == max_min_rates(flows[::-1], capacity)


def test_an_uplink_is_crossed_only_by_what_leaves_its_rack() -> None:
    """A named link limits transfers with one end behind it."""
    network = Network(dict.fromkeys(HOSTS, 8000), [SharedLink("rack", 1000, frozenset({"a", "b"}))])
    assert network.path("a", "b") == ("out:a", "in:b")
    assert network.path("a", "c") == ("out:a", "in:c", "link:rack")
    rates = network.rates([Flow("in", network.path("a", "b")), Flow("out", network.path("a", "c"))])
    assert rates["out"] == pytest.approx(1000 / 8 * 1e6 / 2**20)
    assert rates["in"] == pytest.approx(7000 / 8 * 1e6 / 2**20)
