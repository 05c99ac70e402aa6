"""Weighted quantiles of rows, and reading between levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.forecast.quantiles import LEVELS, between, of_rows, spread


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 4)), min_size=2, max_size=30), st.floats(0, 1))
def test_a_weight_counts_as_so_many_samples(pairs: list[tuple[int, int]], level: float) -> None:
    """The share of weight below a quantile is at most its level, that up to it at least, but for half a weight."""
    samples = np.asarray([[figure for figure, _ in pairs]], np.float32)
    weights = np.asarray([[weight for _, weight in pairs]], np.float32)
    if weights.sum() == 0:
        return
    value = of_rows(samples, weights, np.asarray([[level]], np.float32))[0, 0]
    whole, most = weights.sum(), weights.max()
    assert weights[samples < value - 1e-3].sum() <= level * whole + most / 2 + 1e-3
    assert weights[samples <= value + 1e-3].sum() >= level * whole - most / 2 - 1e-3
    assert samples[weights > 0].min() <= value <= samples[weights > 0].max()


def test_between_levels_it_is_linear_and_outside_of_them_refused() -> None:
    """Halfway between two levels stands the mean of their quantiles."""
    grid = np.asarray(LEVELS, np.float32)[:, None] * 100
    assert between(grid, 0.95)[0] == 95
    assert between(grid, 0.925)[0] == pytest.approx(92.5)
    with pytest.raises(ValueError, match=r"not at 1\.2"):
        between(grid, 1.2)


def test_the_spread_of_an_even_distribution_is_its_standard_deviation() -> None:
    """From 0 to 100, all alike: 100 / sqrt(12)."""
    assert spread(np.asarray(LEVELS, np.float32)[:, None] * 100)[0] == pytest.approx(100 / 12**0.5, rel=1e-3)
