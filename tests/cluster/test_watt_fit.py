"""A host's own power curve from what its meter showed: right, rising, robust, and refused where it would be a guess."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import watt_fit
from cluster.history import Metric, slot_start
from cluster.power_curves import BY_MODEL, Curve, watts_at
from cluster.store.memory import MemoryStore
from cluster.watt_fit import LEAST_PAIRS, NoFit, WattFit, fit
from tests.collectors.fakes import START, FakeClock

R740 = BY_MODEL["Dell R740 2x Platinum 8280"]
Pairs = list[tuple[float, float]]


def metered(curve: Curve, loads: list[float], *, noise: float = 0.0, wild: float = 0.0, seed: int = 1) -> Pairs:
    """What a meter shows at these loads: some per cent off at random, a share of the readings nonsense."""
    dice = random.Random(seed)
    return [
        (
            load,
            dice.uniform(1, 2000) if dice.random() < wild else watts_at(curve, load) * (1 + dice.gauss(0, noise)),
        )
        for load in loads
    ]


def spread(low: float, high: float, count: int = 2000) -> list[float]:
    """Loads evenly from low to high."""
    return [low + (high - low) * step / (count - 1) for step in range(count)]


def fitted(pairs: Pairs, known: Curve = ()) -> WattFit:
    """The fit, which must be there."""
    found = fit(pairs, known)
    assert isinstance(found, WattFit), found
    return found


@pytest.mark.parametrize("model", BY_MODEL)
def test_a_curve_is_found_again(model: str) -> None:
    """From readings 2 % off over all loads, one in ten of them nonsense: within 5 % of the true curve everywhere."""
    curve = BY_MODEL[model]
    found = fitted(metered(curve, spread(0, 1), noise=0.02, wild=0.1)).curve
    for step in range(101):
        assert watts_at(found, step / 100) == pytest.approx(watts_at(curve, step / 100), rel=0.05), step


def test_what_was_not_seen_has_the_shape_known_before() -> None:
    """A host seen between 20 and 60 % that draws a fifth more than its model says: so it does idle and full, too."""
    more = tuple((load, watts * 1.2) for load, watts in R740)
    found = fitted(metered(more, spread(0.2, 0.6)), R740)
    assert found.curve[0][1] == pytest.approx(R740[0][1] * 1.2, rel=0.02)
    assert found.curve[-1][1] == pytest.approx(R740[-1][1] * 1.2, rel=0.02)
    assert found.lowest_ratio == pytest.approx(0.21, abs=0.01)
    assert found.highest_ratio == pytest.approx(0.59, abs=0.01)


REFUSED: list[tuple[str, Callable[[], Pairs], Curve, str]] = [
    ("too few", lambda: metered(R740, spread(0, 1, LEAST_PAIRS - 1)), R740, "287 readings of 5 minutes with a load"),
    ("too narrow", lambda: metered(R740, spread(0.3, 0.41)), R740, "too much alike, nearly all from 31% to 41%"),
    ("one load", lambda: metered(R740, [0.5] * 1000), R740, "too much alike"),
    ("never idle", lambda: metered(R740, spread(0.3, 0.9)), (), "never seen under 31% load, and no curve"),
    ("random", lambda: metered(R740, spread(0, 1), wild=1.0), R740, "does not follow its CPU load"),
    ("none", list, R740, "0 readings"),
]


@pytest.mark.parametrize(("name", "pairs", "known", "why"), REFUSED, ids=[one[0] for one in REFUSED])
def test_a_guess_is_refused(name: str, pairs: Callable[[], Pairs], known: Curve, why: str) -> None:
    """Too few readings, loads too much alike, idle never seen, a draw that load does not explain: said which."""
    found = fit(pairs(), known)
    assert isinstance(found, NoFit) and why in found.why, found


READING = st.tuples(st.floats(0, 1), st.floats(1, 1000))
ANYTHING = st.lists(READING, min_size=1, max_size=60).map(lambda few: few * (LEAST_PAIRS // len(few) + 1))
SERVER = st.builds(
    lambda model, loads, noise, wild: metered(BY_MODEL[model], loads * 60, noise=noise, wild=wild),
    st.sampled_from(sorted(BY_MODEL)),
    st.lists(st.floats(0, 1), min_size=5, max_size=30),
    st.floats(0, 0.06),
    st.floats(0, 0.15),
)


@settings(max_examples=60, deadline=None)
@given(ANYTHING | SERVER, st.sampled_from([(), R740]), st.randoms(use_true_random=False))
def test_whatever_was_read_the_curve_is_one(pairs: Pairs, known: Curve, dice: random.Random) -> None:
    """From load 0 to 1, loads rising, watts never falling; the order of readings does not matter."""
    found = fit(pairs, known)
    mixed = list(pairs)
    dice.shuffle(mixed)
    assert fit(mixed, known) == found
    if isinstance(found, WattFit):
        assert (found.curve[0][0], found.curve[-1][0]) == (0.0, 1.0)
        for (load, watts), (next_load, next_watts) in pairwise(found.curve):
            assert load < next_load and 0 <= watts <= next_watts


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(BY_MODEL)), st.floats(0.25, 4.0), st.integers(0, 1000))
def test_a_meter_in_another_unit_gives_the_curve_in_it(model: str, factor: float, seed: int) -> None:
    """All readings by a factor: the curve by that factor."""
    pairs = metered(BY_MODEL[model], spread(0, 0.8, 400), noise=0.03, seed=seed)
    one, other = fitted(pairs), fitted([(load, watts * factor) for load, watts in pairs])
    assert [load for load, _ in one.curve] == [load for load, _ in other.curve]
    for (_, watts), (_, scaled) in zip(one.curve, other.curve, strict=True):
        assert scaled == pytest.approx(watts * factor, abs=0.02 + 0.01 * factor)


@pytest.mark.parametrize("found", [NoFit("it was asleep"), WattFit(R740, 300, 0.01, 0.9, 0.02)])
def test_a_fit_reads_back_as_written(found: WattFit | NoFit) -> None:
    """A curve and a reason alike, with their time."""
    assert watt_fit.read(watt_fit.write(found, START)) == (found, START)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"at": "yesterday"}', '{"at": "2026-11-23T00:00:00Z", "curve": 7}'])
def test_what_is_no_fit_is_none(text: str) -> None:
    """Another version's words do no harm."""
    assert watt_fit.read(text) is None


def test_pairs_are_the_slots_that_have_both_figures() -> None:
    """A slot with a load alone, or a draw alone, pairs with nothing."""
    store = MemoryStore(FakeClock())
    for slot, used, milliwatts in (
        (1000, 2000, 120_000),
        (1001, 4000, None),
        (1002, None, 90_000),
        (1003, 9000, 300_500),
    ):
        for metric, value in ((Metric.CPU_MILLICORES, used), (Metric.MILLIWATTS, milliwatts)):
            if value is not None:
                store.record_usage("host:a", metric, slot_start(slot), value)
    rings = [store.usage("host:a", metric) for metric in (Metric.CPU_MILLICORES, Metric.MILLIWATTS)]
    pairs = watt_fit.pairs_of(rings[0], rings[1], 8000, slot_start(1003) + timedelta(seconds=10))
    assert pairs == [(0.25, 120.0), (1.0, 300.5)]
