"""Shares of running migrations: laws that hold on any links, checked by definitions of their own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.migration.links import Flow
from cluster.migration.shares import NONE, shares_mib_s, whole_mib_s

LINKS = ("a", "b", "c", "d")
CAPACITIES = st.fixed_dictionaries({link: st.floats(1.0, 2000.0) | st.just(math.inf) for link in LINKS})
DOWNTIMES = st.sampled_from([0.0, 0.05, 0.3, 1.0, 2.0])


@st.composite
def drawn_flows(draw: st.DrawFn) -> tuple[list[Flow], dict[str, float]]:
    """Up to eight migrations over one to three of the links each, and their allowed downtimes."""
    flows, downtimes = [], {}
    for number in range(draw(st.integers(1, 8))):
        links = draw(st.lists(st.sampled_from(LINKS), min_size=1, max_size=3, unique=True))
        limit = draw(st.none() | st.floats(1.0, 500.0))
        flows.append(Flow(f"s{number}", tuple(links), limit))
        downtimes[f"s{number}"] = draw(DOWNTIMES)
    return flows, downtimes


def load(link: str, flows: list[Flow], rates: dict[str, float], downtimes: dict[str, float]) -> float:
    """What may cross a link in one second: all shares, and the largest burst."""
    on = [flow.id for flow in flows if link in flow.links]
    return sum(rates[one] for one in on) + max((rates[one] * downtimes.get(one, 0.0) for one in on), default=0.0)


@settings(max_examples=120, deadline=None)
@given(drawn_flows(), CAPACITIES)
def test_no_link_is_passed_and_no_limit(drawn: tuple[list[Flow], dict[str, float]], capacity: dict[str, float]) -> None:
    """With the largest switch-over burst counted, every link carries what it may, and every flow keeps its limit."""
    flows, downtimes = drawn
    rates = shares_mib_s(flows, downtimes, capacity, capacity)
    for link in LINKS:
        if math.isfinite(capacity[link]):
            assert load(link, flows, rates, downtimes) <= capacity[link] * (1 + 1e-9)
    for flow in flows:
        assert flow.limit_mib_s is None or rates[flow.id] <= flow.limit_mib_s * (1 + 1e-9)


@settings(max_examples=120, deadline=None)
@given(drawn_flows(), CAPACITIES)
def test_without_bursts_shares_are_max_min_fair(
    drawn: tuple[list[Flow], dict[str, float]], capacity: dict[str, float]
) -> None:
    """By its definition: each flow is at its limit, or crosses a full link on which no share is greater."""
    flows, _ = drawn
    rates = shares_mib_s(flows, {}, capacity, capacity)
    for flow in flows:
        rate = rates[flow.id]
        if math.isinf(rate) or (flow.limit_mib_s is not None and rate >= flow.limit_mib_s * (1 - 1e-9)):
            continue
        full = [link for link in flow.links if load(link, flows, rates, {}) >= capacity[link] * (1 - 1e-9)]
        assert any(
            rate >= max(rates[other.id] for other in flows if link in other.links) * (1 - 1e-9) for link in full
        ), f"{flow} could have more"


@settings(max_examples=60, deadline=None)
@given(drawn_flows(), CAPACITIES, st.randoms(use_true_random=False))
def test_the_order_of_flows_changes_nothing(
    drawn: tuple[list[Flow], dict[str, float]], capacity: dict[str, float], dice: object
) -> None:
    """The same migrations in any order get the same shares, to the last bit."""
    flows, downtimes = drawn
    shuffled = list(flows)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert shares_mib_s(shuffled, downtimes, capacity, capacity) == shares_mib_s(flows, downtimes, capacity, capacity)


@settings(max_examples=60, deadline=None)
@given(drawn_flows(), CAPACITIES)
def test_little_is_left_unused_for_bursts(
    drawn: tuple[list[Flow], dict[str, float]], capacity: dict[str, float]
) -> None:
    """What is kept free is the burst and no more: every flow is at its limit or on a link that is full with it."""
    flows, downtimes = drawn
    rates = shares_mib_s(flows, downtimes, capacity, capacity)
    if any(downtime > 1.0 for downtime in downtimes.values()):
        return
    for flow in flows:
        rate = rates[flow.id]
        if math.isinf(rate) or (flow.limit_mib_s is not None and rate >= flow.limit_mib_s * 0.999):
            continue
        assert any(load(link, flows, rates, downtimes) >= capacity[link] * 0.95 for link in flow.links), flow


@pytest.mark.parametrize(("flows", "share"), [(1, 40 / 1.3), (2, 40 / 2.3), (3, 40 / 3.3)])
def test_equal_flows_on_one_link(flows: int, share: float) -> None:
    """Equal flows, n of them, with an allowed downtime of 0.3 s get capacity / (n + 0.3) each."""
    equal = [Flow(f"s{number}", ("a",)) for number in range(flows)]
    rates = shares_mib_s(equal, dict.fromkeys((flow.id for flow in equal), 0.3), {"a": 100.0}, {"a": 40.0})
    assert list(rates.values()) == pytest.approx([share] * flows, rel=1e-3)


def test_whole_shares_never_mean_no_limit_by_chance() -> None:
    """Rounded down, and never to the zero that would lift the limit; only where nothing bounds is there none."""
    assert [whole_mib_s(share) for share in (13.99, 14.0, 1.2, 0.4, 0.0, math.inf)] == [13, 14, 1, 1, 1, NONE]


def test_a_links_own_speed_needs_no_room_for_bursts() -> None:
    """What is sent unthrottled at a switch-over goes no faster than the wire; only a budget could be passed by it."""
    one = [Flow("s1", ("a",))]
    assert shares_mib_s(one, {"s1": 0.3}, {"a": 40.0}, {"a": math.inf}) == {"s1": 40.0}
    assert shares_mib_s(one, {"s1": 0.3}, {"a": 40.0}, {}) == {"s1": 40.0}
    assert shares_mib_s(one, {"s1": 0.3}, {"a": 40.0}, {"a": 45.0})["s1"] == pytest.approx(45.0 / 1.3, rel=1e-3)
    assert shares_mib_s(one, {"s1": 0.3}, {"a": 40.0}, {"a": 60.0}) == {"s1": 40.0}
