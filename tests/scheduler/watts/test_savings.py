"""What sleeping saves: laws of the sums, cases worked by hand, and what counts for nothing."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import energy_day
from cluster.config.energy import EnergySettings
from cluster.energy_day import Energy, EnergyDay, kwh
from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel, PowerState, Reserved
from cluster.plan import PlanRecord, PlanState, StepRecord, StepState
from cluster.power_curves import BY_MODEL, Curve, watts_at
from cluster.prices import Prices
from cluster.snapshot import Snapshot
from scheduler.watts.savings import Draw, counted_on, draws_of, moved_joules, rates_of
from tests.cluster.store.builders import plan

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STRAIGHT: Curve = ((0.0, 100.0), (1.0, 200.0))
PRICES = Prices(EnergySettings(0.25, "EUR"))
GAP_S = 180.0


def on(
    host: str, load: float = 0.5, *, capacity: float = 1000.0, curve: Curve = STRAIGHT, fitted: bool = False
) -> Draw:
    """A host that is on and draws what its curve says."""
    return Draw(host, False, load, capacity, watts_at(curve, load), curve, fitted=fitted, metered=fitted)


def asleep(
    host: str, *, watts: float = 5.0, curve: Curve = STRAIGHT, waking: bool = False, fitted: bool = False
) -> Draw:
    """A host that sleeps by our doing, or is just being woken."""
    draw = curve[0][1] if waking else watts
    return Draw(host, True, 0.0, 1000.0, draw, curve, watts, fitted, fitted, waking)


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def watch(
    looks: list[tuple[float, list[Draw]]], most_gap_s: float = GAP_S, start: EnergyDay | None = None
) -> EnergyDay:
    """The record after looks at these seconds."""
    days = [] if start is None else [start]
    for seconds, draws in looks:
        found = counted_on(days, at(seconds), draws, 0.0, PRICES, night=False, most_gap_s=most_gap_s)
        days = days if found is None else [found]
    return days[0]


def test_a_case_worked_by_hand() -> None:
    """One at 50 %, one asleep: with both on each ran at 25 %, 125 W + 125 W for 150 W + 5 W: 95 W less, for an hour."""
    looks = [(60.0 * minute, [on("a"), asleep("b")]) for minute in range(61)]
    whole = watch(looks).whole
    assert kwh(whole.used_j) == pytest.approx(0.155)
    assert kwh(whole.net_saved_j) == pytest.approx(0.095)
    assert whole.cost == pytest.approx(0.155 * 0.25)
    assert whole.money_saved == pytest.approx(0.095 * 0.25)
    assert (whole.seen_s, whole.asleep_host_s) == (3600.0, 3600.0)


def test_the_time_of_coming_up_is_taken_off() -> None:
    """A host that wakes draws its idle 100 W in place of 5 W."""
    looks = [
        (0.0, [on("a"), asleep("b")]),
        (60.0, [on("a"), asleep("b", waking=True)]),
        (120.0, [on("a"), on("b", 0.0)]),
    ]
    whole = watch(looks).whole
    assert whole.saved_modelled_j == pytest.approx(95 * 60)
    assert whole.wakes_j == pytest.approx(95 * 60)
    assert whole.net_saved_j == pytest.approx(0.0)


def test_what_is_metered_and_what_modelled_is_told_apart() -> None:
    """Each host's part by how its own draw and curve are known."""
    rates = rates_of([on("a", fitted=True), on("b"), asleep("c", fitted=True)], ["c"])
    assert (rates.used_metered, rates.used_modelled) == (155.0, 150.0)
    third = 100 / 6
    assert rates.saved_metered == pytest.approx((100 + 100 / 3 - 5) - third)
    assert rates.saved_modelled == pytest.approx(-third)


LOADS = st.floats(0, 1)
CURVES = st.sampled_from([STRAIGHT, *BY_MODEL.values()])
ON = st.lists(st.builds(lambda load, capacity, curve: on("", load, capacity=capacity, curve=curve), LOADS,
                        st.floats(1, 1e6), CURVES), min_size=1, max_size=5)  # fmt: skip
DOWN = st.lists(
    st.builds(lambda curve, waking: asleep("", curve=curve, waking=waking), CURVES, st.booleans()), max_size=3
)
LOOK = st.builds(
    lambda up, down: [replace(one, host=f"{kind}{n}") for kind, ones in (("on", up), ("down", down)) for n, one in
                      enumerate(ones)], ON, DOWN)  # fmt: skip
TIMES = st.lists(st.floats(0.5, 400), min_size=1, max_size=12)


@given(LOOK)
def test_nothing_asleep_is_nothing_saved(draws: list[Draw]) -> None:
    """However uneven the load, and whatever slept at another time."""
    rates = rates_of([one for one in draws if not one.is_asleep], [one.host for one in draws])
    assert (rates.saved_metered, rates.saved_modelled, rates.waking, rates.asleep) == (0, 0, 0, 0)
    assert rates_of(draws, []).saved_modelled == 0


@given(LOOK)
def test_with_all_on_the_same_load_is_carried(draws: list[Draw]) -> None:
    """Saved plus used is what all hosts would draw, each at its share, by a count of its own."""
    rates = rates_of(draws, [one.host for one in draws])
    everything = sum(one.capacity for one in draws)
    load = sum(one.load_ratio * one.capacity for one in draws)
    up = [one for one in draws if not one.is_asleep]
    room = sum(one.capacity for one in up)
    with_all_on = sum(watts_at(one.curve, one.load_ratio * room / everything) for one in up)
    with_all_on += sum(watts_at(one.curve, load / everything) for one in draws if one.is_asleep)
    used = rates.used_metered + rates.used_modelled
    assert used + rates.saved_metered + rates.saved_modelled - rates.waking == pytest.approx(with_all_on)


@given(LOOK, TIMES)
def test_however_often_one_looks_the_sum_is_the_same(draws: list[Draw], gaps: list[float]) -> None:
    """With nothing changing: many short spans, or a long one."""
    moments = [0.0]
    for gap in gaps:
        moments.append(moments[-1] + gap)
    often = watch([(moment, draws) for moment in moments], most_gap_s=1e9).whole
    once = watch([(moments[0], draws), (moments[-1], draws)], most_gap_s=1e9).whole
    assert [round(one, 3) for one in (often.seen_s, often.cost)] == [round(one, 3) for one in (once.seen_s, once.cost)]
    assert often.net_saved_j == pytest.approx(once.net_saved_j, rel=1e-6, abs=1e-3)
    assert often.used_j == pytest.approx(once.used_j, rel=1e-6)


@given(LOOK, TIMES, st.lists(st.floats(-500, 5000), max_size=20))
def test_no_span_is_counted_twice(draws: list[Draw], gaps: list[float], again: list[float]) -> None:
    """Whoever looks again at any time in between: seconds seen are never more than have passed."""
    record, passed = watch([(0.0, draws)]), 0.0
    for gap in gaps:
        passed += gap
        looks = [passed, *(passed + other for other in again if -GAP_S <= other <= 0)]
        record = watch([(moment, draws) for moment in looks], start=record)
    assert record.whole.seen_s <= passed + 1e-6
    assert record.whole.seen_s == pytest.approx(sum(gap for gap in gaps if gap <= GAP_S))


@given(LOOK, TIMES)
def test_a_restart_between_any_two_looks_changes_nothing(draws: list[Draw], gaps: list[float]) -> None:
    """All that is needed is in the record as the store keeps it."""
    kept, through, passed = watch([(0.0, draws)]), watch([(0.0, draws)]), 0.0
    for gap in gaps:
        passed += gap
        kept = watch([(passed, draws)], start=kept)
        read = energy_day.read(through.day, energy_day.write(through))
        assert read is not None
        through = watch([(passed, draws)], start=read)
    assert through.whole.net_saved_j == pytest.approx(kept.whole.net_saved_j, abs=1e-3)
    assert through.asleep == kept.asleep


def test_a_gap_counts_for_nothing() -> None:
    """A daemon that was down for an hour claims nothing of it, and goes on after."""
    draws = [on("a"), asleep("b")]
    whole = watch([(0.0, draws), (60.0, draws), (3660.0, draws), (3720.0, draws)]).whole
    assert whole.seen_s == 120.0
    assert whole.net_saved_j == pytest.approx(95 * 120)


def test_a_host_counts_from_its_second_look_asleep() -> None:
    """When in the span it fell asleep nobody knows."""
    looks = [(0.0, [on("a"), on("b", 0.0)]), (60.0, [on("a"), asleep("b")]), (120.0, [on("a"), asleep("b")])]
    assert watch(looks).whole.net_saved_j == pytest.approx(95 * 60)


def test_night_and_rest_and_days_are_kept_apart() -> None:
    """A span goes to the day it ends in, to the night while a night window is open."""
    draws = [on("a"), asleep("b")]
    days: list[EnergyDay] = []
    for minute in range(12 * 60 - 2, 12 * 60 + 3):
        found = counted_on(days, at(60 * minute), draws, 0.0, PRICES, night=minute % 2 == 0, most_gap_s=GAP_S)
        assert found is not None
        days = [*(day for day in days if day.day != found.day), found]
    assert [(day.day, day.night.seen_s, day.rest.seen_s) for day in days] == [
        ("2026-11-24", 0.0, 60.0),
        ("2026-11-25", 120.0, 60.0),
    ]


def test_a_clock_that_was_ahead_does_not_stop_the_count_for_ever() -> None:
    """The record of a day that is not yet is left alone, and today's goes on."""
    draws = [on("a"), asleep("b")]
    today = watch([(0.0, draws), (60.0, draws)])
    ahead = EnergyDay("2026-11-25", at(86400.0), ("b",))
    first = counted_on([today, ahead], at(120.0), draws, 0.0, PRICES, night=False, most_gap_s=GAP_S)
    assert first is not None and (first.day, first.whole.seen_s) == ("2026-11-24", 120.0)


def test_moves_are_taken_off() -> None:
    """At the price of the moment, and of a gap, too."""
    start = watch([(0.0, [on("a")])])
    for seconds in (60.0, 4000.0):
        found = counted_on([start], at(seconds), [on("a")], 3.6e6, PRICES, night=False, most_gap_s=GAP_S)
        assert found is not None
        assert kwh(found.whole.net_saved_j) == pytest.approx(-1.0)
        assert found.whole.money_saved == pytest.approx(-0.25)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"until": "then"}', '{"until": "2026-11-24T00:00:00+00:00"}'])
def test_a_day_that_cannot_be_read_is_none(text: str) -> None:
    """Another version's words do no harm."""
    assert energy_day.read("2026-11-24", text) is None


@given(st.builds(Energy, *[st.floats(-1e12, 1e12)] * 10), st.lists(st.text(max_size=4), max_size=3))
def test_a_day_reads_back_as_written(energy: Energy, hosts: list[str]) -> None:
    """Each figure to the microjoule."""
    day = EnergyDay("2026-11-24", NOON, tuple(hosts), energy, currency="EUR")
    read = energy_day.read(day.day, energy_day.write(day))
    assert read is not None and replace(read, night=energy) == day
    for one in fields(Energy):
        assert abs(getattr(read.night, one.name) - getattr(energy, one.name)) <= 1e-6


def host(name: str, state: PowerState = PowerState.ON, **more: object) -> Host:
    """A host of four cores, one of them reserved."""
    power = PowerModel(state, watts=STRAIGHT, sleep_watts=5.0)
    return replace(Host(name, 4000, 8192, reserved=Reserved(1000), power=power), **more)  # type: ignore[arg-type]


def guest(name: str, where: str, millicores: int | None) -> Guest:
    """A guest that uses this much CPU."""
    return Guest(name, where, 1, 1024, usage=Usage(millicores))


def seen(*hosts: Host) -> dict[str, Draw]:
    """What a look at these hosts gives: `a` holds two guests, `down` and `coming` sleep by us, `coming` is metered."""
    guests = (guest("g", "a", 1000), guest("h", "a", 500))
    snapshot = Snapshot("", NOON, hosts, guests)
    found = draws_of(snapshot, {"down", "coming"}, {"coming"}, {"coming": 80.0}, {"coming"})
    return {one.host: one for one in found}


def test_only_what_is_ours_or_on_is_looked_at() -> None:
    """A host under repair is off and no saving; one of which nothing is known is left out."""
    found = seen(
        host("a"),
        host("repair", PowerState.OFF),
        host("silent", reachable=False),
        host("dim", PowerState.UNKNOWN),
        host("down", PowerState.ASLEEP),
        host("coming", PowerState.WAKING),
    )
    assert sorted(found) == ["a", "coming", "down"]
    assert (found["a"].load_ratio, found["a"].watts, found["a"].metered) == (0.5, 150.0, False)
    assert (found["down"].is_asleep, found["down"].is_waking, found["down"].watts) == (True, False, 5.0)
    assert (found["coming"].is_waking, found["coming"].watts, found["coming"].fitted) == (True, 80.0, True)


def test_a_host_that_we_wanted_asleep_and_that_is_not_seen_so_is_no_saving() -> None:
    """While it goes down, or when its power cannot be seen."""
    assert "down" not in seen(host("a"), host("down", PowerState.UNKNOWN))
    assert not seen(host("a"), host("down", PowerState.ON))["down"].is_asleep


def moved(*, policy: str, sleeps: bool, state: StepState = StepState.DONE, ended_s: float = 50.0) -> float:
    """Joules of a plan of two moves of 1 GiB, the second still under way, at 300 J a GiB, between 0 s and 60 s."""
    one = replace(plan("p", sleeps=sleeps), policy=policy)
    steps = {
        "s1": StepRecord(state, at(ended_s), 1, mib=1024),
        "s2": StepRecord(StepState.RUNNING, at(20.0), 1, mib=1024),
    }
    return moved_joules([PlanRecord(one, PlanState.ACTIVE, steps)], at(0.0), at(60.0), 300.0)


def test_moves_for_the_sake_of_power_are_counted_once_they_are_over() -> None:
    """Those of consolidating and waking plans and of any that puts hosts to sleep, done or called off; no others."""
    assert moved(policy="consolidate", sleeps=False) == 300.0
    assert moved(policy="wake", sleeps=False, state=StepState.ABORTED) == 300.0
    assert moved(policy="balance", sleeps=True) == 300.0
    assert moved(policy="balance", sleeps=False) == 0.0
    assert moved(policy="consolidate", sleeps=True, ended_s=0.0) == 0.0
    assert moved(policy="consolidate", sleeps=True, ended_s=60.1) == 0.0
