"""Loads as a matrix are those of its rows, and between columns they hold or go over in a straight line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.guests import TraceLoad
from simulator.loads import LoadMatrix

ROWS = st.lists(st.lists(st.floats(0, 4000), min_size=4, max_size=4), min_size=1, max_size=5)


@given(rows=ROWS, at_s=st.floats(0, 1199))
def test_a_row_is_the_trace_it_was_made_of(rows: list[list[float]], at_s: float) -> None:
    """A column holds until the next, as with one trace per guest."""
    loads = LoadMatrix(rows, slot_s=300.0).loads()
    assert [load.millicores(at_s) for load in loads] == [TraceLoad(row).millicores(at_s) for row in rows]


@given(rows=ROWS, slot=st.integers(0, 2), part=st.floats(0, 1))
def test_between_two_columns_a_linear_load_is_between_them(rows: list[list[float]], slot: int, part: float) -> None:
    """At the columns it is theirs, and halfway the mean of both."""
    matrix = LoadMatrix(rows, slot_s=300.0, linear=True)
    now = matrix.at(300.0 * (slot + part))
    left, right = matrix.values[:, slot], matrix.values[:, slot + 1]
    assert (now >= np.minimum(left, right) - 1e-9).all() and (now <= np.maximum(left, right) + 1e-9).all()
    assert matrix.at(300.0 * slot) == pytest.approx(left)
    assert matrix.at(300.0 * slot + 150.0) == pytest.approx((left + right) / 2)


def test_what_is_asked_again_is_what_was_asked_before() -> None:
    """The moment that was worked out last is not taken for another one."""
    matrix = LoadMatrix([[1.0, 2.0, 3.0]], slot_s=10.0)
    assert [matrix.of(0, at_s) for at_s in (0.0, 10.0, 0.0, 25.0, 99.0, -5.0)] == [1.0, 2.0, 1.0, 3.0, 3.0, 1.0]


def test_an_empty_matrix_is_refused() -> None:
    """Loads without a single value say nothing."""
    with pytest.raises(ValueError, match="array"):
        LoadMatrix(np.zeros((3, 0)))
