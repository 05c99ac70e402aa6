"""Links, their budgets by time, and the laws of max-min fair division."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config.settings import BudgetScope, BudgetSettings, LinkSettings, MigrationSettings, Settings
from cluster.host import Host
from cluster.migration.links import MIB_S_PER_MBIT_S, Flow, Links, max_min_rates

MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MONDAY_NIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC)
LINK_NAMES = ("out:a", "out:b", "in:c", "link:r", "cluster")


@st.composite
def divisions(draw: st.DrawFn) -> tuple[list[Flow], dict[str, float]]:
    """Some flows over some links, with limits here and there."""
    amounts = st.integers(1, 1000).map(float)
    capacity = {name: draw(amounts) for name in LINK_NAMES}
    flows = [
        Flow(
            f"f{index}",
            tuple(draw(st.lists(st.sampled_from(LINK_NAMES), min_size=1, unique=True))),
            draw(st.none() | amounts),
        )
        for index in range(draw(st.integers(1, 8)))
    ]
    return flows, capacity


def taken_mib_s(link: str, flows: list[Flow], rates: dict[str, float]) -> float:
    """What the flows take of a link."""
    return sum(rates[flow.id] for flow in flows if link in flow.links)


@given(division=divisions())
def test_no_link_and_no_limit_is_passed(division: tuple[list[Flow], dict[str, float]]) -> None:
    """Every flow has a rate, and together they stay within every capacity."""
    flows, capacity = division
    rates = max_min_rates(flows, capacity)
    assert set(rates) == {flow.id for flow in flows}
    for flow in flows:
        assert 0 < rates[flow.id] <= (flow.limit_mib_s or math.inf)
    for link, most in capacity.items():
        assert taken_mib_s(link, flows, rates) <= most * (1 + 1e-9)


@given(division=divisions())
def test_each_flow_is_at_its_limit_or_among_the_fastest_of_a_full_link(
    division: tuple[list[Flow], dict[str, float]],
) -> None:
    """What makes a division max-min fair: every flow has its bottleneck."""
    flows, capacity = division
    rates = max_min_rates(flows, capacity)
    for flow in flows:
        bottlenecks = [
            link
            for link in flow.links
            if taken_mib_s(link, flows, rates) >= capacity[link] * (1 - 1e-9)
            and rates[flow.id] >= max(rates[one.id] for one in flows if link in one.links) * (1 - 1e-9)
        ]
        assert bottlenecks or rates[flow.id] == flow.limit_mib_s


@given(division=divisions(), order=st.randoms(use_true_random=False))
def test_the_order_of_flows_does_not_matter(division: tuple[list[Flow], dict[str, float]], order: Random) -> None:
    """To the last bit."""
    flows, capacity = division
    shuffled = list(flows)
    order.shuffle(shuffled)
    assert max_min_rates(shuffled, capacity) == max_min_rates(flows, capacity)


def test_three_guests_that_leave_a_host_share_its_link_evenly() -> None:
    """And what one of them cannot use goes to the others."""
    capacity = {"out:a": 40.0, "in:b": 100.0, "in:c": 8.0, "in:d": 100.0}
    flows = [Flow("1", ("out:a", "in:b")), Flow("2", ("out:a", "in:c")), Flow("3", ("out:a", "in:d"))]
    assert max_min_rates(flows, capacity) == {"1": 16.0, "2": 8.0, "3": 16.0}


def test_what_nothing_stops_has_no_bound() -> None:
    """A flow over links without a bound, beside one with a limit."""
    flows = [Flow("1", ("cluster",)), Flow("2", ("cluster",), 5.0)]
    assert max_min_rates(flows, {"cluster": math.inf}) == {"1": math.inf, "2": 5.0}
    assert max_min_rates([], {}) == {}


def test_an_unknown_link_is_an_error() -> None:
    """A link that nobody knows is never taken for one without a bound."""
    with pytest.raises(KeyError):
        max_min_rates([Flow("1", ("out:x",))], {"out:a": 1.0})


def mbit_s(links: Links, at: datetime) -> dict[str, float]:
    """Capacities in Mbit/s, for reading."""
    return {link: round(one / MIB_S_PER_MBIT_S, 6) for link, one in links.capacity_mib_s(at).items()}


def test_a_path_crosses_named_links_with_one_end_behind_them() -> None:
    """Not those with both, nor those with none."""
    links = Links(
        {"a": 100, "b": 100, "c": 100, "d": 100},
        [LinkSettings("r1", 50, ("a", "b")), LinkSettings("wan", 5, ("d",))],
        [BudgetSettings(BudgetScope.CLUSTER, 70)],
    )
    assert links.path("a", "b") == ("out:a", "in:b", "cluster")
    assert links.path("a", "c") == ("out:a", "in:c", "link:r1", "cluster")
    assert links.path("d", "b") == ("out:d", "in:b", "link:r1", "link:wan", "cluster")
    assert Links({"a": 1, "b": 1}).path("a", "b") == ("out:a", "in:b")


def test_a_host_link_is_its_migration_link_or_its_network_or_the_default() -> None:
    """In this order."""
    hosts = [Host("a", 1, 1, net_mbit_s=7, migration_mbit_s=9), Host("b", 1, 1, net_mbit_s=7), Host("c", 1, 1)]
    links = Links.of(hosts, Settings(migration=MigrationSettings(estimate_mbit_s=5)))
    assert mbit_s(links, MONDAY_NOON) == {
        "out:a": 9, "in:a": 9, "out:b": 7, "in:b": 7, "out:c": 5, "in:c": 5,
    }  # fmt: skip


def test_the_lowest_open_window_stands_for_budgets_without_one() -> None:
    """By day the window counts even where it allows more; at night what always counts."""
    busy = BudgetSettings(BudgetScope.HOST_OUT, 40, days=(0,), start=time(8), end=time(18))
    links = Links(
        {"a": 100, "b": 30},
        budgets=[
            BudgetSettings(BudgetScope.HOST_OUT, 20),
            busy,
            BudgetSettings(BudgetScope.HOST_OUT, 60, days=(0,)),
            BudgetSettings(BudgetScope.HOST_IN, 90),
        ],
    )
    assert mbit_s(links, MONDAY_NOON) == {"out:a": 40, "in:a": 90, "out:b": 30, "in:b": 30}
    assert mbit_s(links, datetime(2026, 11, 24, 12, tzinfo=UTC)) == {"out:a": 20, "in:a": 90, "out:b": 20, "in:b": 30}


def test_an_entry_with_a_name_stands_for_one_without() -> None:
    """Even when it allows more; while a named window is closed, the one without a name counts again."""
    links = Links(
        {"a": 100, "b": 100},
        [LinkSettings("r", 1000, ("a",))],
        [
            BudgetSettings(BudgetScope.HOST_OUT, 20),
            BudgetSettings(BudgetScope.HOST_OUT, 50, name="b", start=time(8), end=time(18)),
            BudgetSettings(BudgetScope.LINK, 300),
            BudgetSettings(BudgetScope.CLUSTER, 10, start=time(8), end=time(18)),
        ],
    )
    noon, night = mbit_s(links, MONDAY_NOON), mbit_s(links, MONDAY_NIGHT)
    assert (noon["out:a"], noon["out:b"], noon["link:r"], noon["cluster"]) == (20, 50, 300, 10)
    assert (night["out:a"], night["out:b"], night["link:r"], night["cluster"]) == (20, 20, 300, math.inf)
