"""Laws of the prediction: more bandwidth is never slower, a hot set that fits converges, nothing goes for nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.migration.dirtying import Dirtying
from cluster.migration.predict import (
    MOST_PASSES,
    PAGE_RATIO,
    SLICE_S,
    ZERO_PAGE_RATIO,
    Memory,
    Way,
    finish_by_postcopy,
    predict,
    probability,
    spread_of,
)


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    """A guest of any size, some of it hot."""
    in_use_mib = draw(st.floats(16, 65536))
    hot_mib = draw(st.floats(0, 1)) * in_use_mib if draw(st.booleans()) else math.inf
    dirtying = Dirtying(draw(st.floats(0, 20)) * min(hot_mib, in_use_mib), hot_mib, in_use_mib)
    return Memory(in_use_mib, draw(st.floats(0, 65536)), dirtying)


ways = st.builds(Way, mib_s=st.floats(5, 5000), max_downtime_s=st.floats(0.001, 3))
more = st.floats(1, 10)


@given(memories(), ways, more)
def test_more_bandwidth_is_never_slower(memory: Memory, way: Way, times: float) -> None:
    """A guest that converges does so with more bandwidth too, in no more time or passes."""
    slow, fast = (
        predict(memory, replace(way, line_mib_s=way.mib_s)),
        predict(memory, replace(way, mib_s=way.mib_s * times, line_mib_s=way.mib_s * times)),
    )
    assert fast.margin >= slow.margin * (1 - 1e-9)
    if slow.converges:
        assert fast.converges
        assert fast.passes <= slow.passes
        assert fast.seconds <= slow.seconds * (1 + 1e-9)


@given(memories(), ways, more)
def test_more_dirtying_is_never_better(memory: Memory, way: Way, times: float) -> None:
    """More writes to the same set: no less time, no fewer MiB, no better margin."""
    busier = replace(memory, dirtying=replace(memory.dirtying, mib_s=memory.dirtying.mib_s * times))
    calm, busy = predict(memory, way), predict(busier, way)
    assert busy.margin <= calm.margin * (1 + 1e-9)
    assert calm.converges or not busy.converges
    if busy.converges:
        assert busy.seconds >= calm.seconds * (1 - 1e-9)
        assert busy.mib >= calm.mib * (1 - 1e-9)


@given(memories(), ways)
def test_a_hot_set_that_fits_into_the_stop_size_converges_at_any_rate(memory: Memory, way: Way) -> None:
    """Bandwidth times allowed downtime is what may be left when the guest stops."""
    stop_mib = way.mib_s / PAGE_RATIO * way.max_downtime_s
    small = replace(memory, dirtying=Dirtying(1e6, min(stop_mib * 0.999, memory.in_use_mib), memory.in_use_mib))
    assert predict(small, way).converges


@given(memories(), ways)
def test_memory_in_use_is_sent_at_least_once(memory: Memory, way: Way) -> None:
    """In no less time than the bandwidth gives; the downtime keeps to its limit where it converges."""
    way = replace(way, line_mib_s=way.mib_s)
    cost = predict(memory, way)
    assert cost.mib >= memory.in_use_mib
    assert cost.seconds >= cost.mib / way.mib_s * (1 - 1e-9)
    assert cost.seconds >= SLICE_S
    if cost.converges:
        assert cost.downtime_s <= way.max_downtime_s * (1 + 1e-9)


@given(memories(), ways)
@example(Memory(8192, 0, Dirtying(102.4, 8192, 8192)), Way(100, 0.3))
def test_the_margin_is_the_verdict(memory: Memory, way: Way) -> None:
    """Over 1 it converges, under 1 it does not, except where it would take more passes than anyone waits for."""
    cost = predict(memory, way)
    if cost.margin < 0.999 and memory.in_use_mib > way.mib_s * way.max_downtime_s:
        assert not cost.converges
    if cost.margin > 1.001:
        assert cost.converges or cost.passes > MOST_PASSES


@given(memories(), ways)
def test_post_copy_always_ends_and_sends_no_page_a_third_time(memory: Memory, way: Way) -> None:
    """One pass and what was dirtied in it."""
    cost = finish_by_postcopy(memory, way)
    assert cost.converges
    most_mib = (memory.in_use_mib + memory.dirtying.set_mib) * PAGE_RATIO + memory.zero_mib * ZERO_PAGE_RATIO
    assert cost.mib <= most_mib * (1 + 1e-9)


def test_an_idle_guest_is_sent_once() -> None:
    """Time and bytes are those of its memory, headers and zero pages included; compression shrinks both."""
    memory, way = Memory(1024, 1024, Dirtying(0, 0, 1024)), Way(100, 0.3, 100)
    cost = predict(memory, way)
    assert cost.mib == pytest.approx(1024 * PAGE_RATIO + 1024 * ZERO_PAGE_RATIO)
    assert cost.seconds == pytest.approx(cost.mib / 100)
    assert (cost.converges, cost.margin) == (True, math.inf)
    squeezed = predict(memory, replace(way, wire_ratio=0.5))
    assert squeezed.mib == pytest.approx(512 * PAGE_RATIO + 1024 * ZERO_PAGE_RATIO)
    assert squeezed.seconds < cost.seconds


def test_local_disks_are_counted() -> None:
    """Their MiB and their time."""
    memory, way = Memory(1024, 0, Dirtying(0, 0, 1024)), Way(100, 0.3)
    plain, with_disk = predict(memory, way), predict(replace(memory, local_disk_mib=500), way)
    assert with_disk.mib == plain.mib + 500
    assert with_disk.seconds == pytest.approx(plain.seconds + 5)


def test_the_rest_goes_at_the_line_s_speed_once_the_guest_has_stopped() -> None:
    """QEMU lifts the limit for the switch-over: on a fast link the downtime is far under its limit."""
    memory = Memory(2048, 0, Dirtying(25, 512, 2048))
    limited, fast = predict(memory, Way(50, 0.3)), predict(memory, Way(50, 0.3, 1000))
    assert limited.converges
    assert limited.downtime_s < 0.001  # no line speed known: not counted
    slow = predict(memory, Way(50, 0.3, 50))
    assert fast.downtime_s < 0.02 < 0.2 < slow.downtime_s <= 0.3


def test_a_writer_as_fast_as_the_link_does_not_converge() -> None:
    """Unless what it writes fits into the stop size, or most of it is still unsent when it is written again."""
    way = Way(100, 0.3)
    assert not predict(Memory(4096, 0, Dirtying(204.8, 2048, 4096)), way).converges
    assert predict(Memory(4096, 0, Dirtying(61.44, 2048, 4096)), way).converges
    assert predict(Memory(4096, 0, Dirtying(2900, 29, 4096)), way).converges
    assert not predict(Memory(4096, 0, Dirtying(6000, 60, 4096)), way).converges


def test_probability_is_one_half_at_the_edge_and_surer_with_better_figures() -> None:
    """Far from the edge it is nearly sure, never quite; poor figures make everything less sure."""
    assert probability(1, 0.2) == 0.5
    assert probability(math.inf, 0.2) == probability(100, 0.2) == 0.99
    assert probability(0.01, 0.2) == 0.01
    assert 0.5 < probability(1.2, 0.7) < probability(1.2, 0.2)
    assert spread_of(400, hot_known=True) < spread_of(4, hot_known=True)
    assert spread_of(400, hot_known=True) < spread_of(400, hot_known=False)
