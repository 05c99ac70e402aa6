"""Laws of the migration estimate: what an idle guest costs, and that more of anything bad is never better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.guest import Dirty, Guest, MigrationPolicy, Usage
from cluster.host import Host
from cluster.migration.compatibility import why_cannot_run
from cluster.migration.estimate import MBIT_PER_MIB, SETUP_S, SWITCH_S, estimate_migration, link_mbit_s
from cluster.migration.learned import Correction

IDLE = Dirty(0.0)


def guest(memory_mib: int = 8192, dirty: Dirty = IDLE, downtime_ms: int = 300) -> Guest:
    """A guest whose memory is all in use."""
    return Guest("g", "a", 2, memory_mib, Usage(100), dirty=dirty, migration=MigrationPolicy(downtime_ms))


guests = st.builds(
    guest,
    st.integers(64, 65536),
    st.builds(Dirty, st.floats(0, 4000), st.just(1.0), st.none() | st.floats(0, 65536)),
    st.integers(1, 3000),
)
links = st.floats(100, 40000)


@given(st.integers(64, 65536), links)
def test_an_idle_guest_costs_its_memory_over_the_bandwidth(memory_mib: int, mbit_s: float) -> None:
    """Nothing is sent twice; page headers are all that comes on top."""
    cost = estimate_migration(guest(memory_mib), mbit_s, 50)
    assert memory_mib < cost.mib <= memory_mib * 1.002 + 1
    assert cost.seconds == pytest.approx(SETUP_S + SWITCH_S + cost.mib * MBIT_PER_MIB / mbit_s, abs=0.16)
    assert (cost.converges, cost.note, cost.mib_ratio, cost.bandwidth_ratio) == (0.99, "", None, None)


@given(guests, links, st.floats(0, 4000))
def test_more_dirty_is_never_likelier_to_converge(one: Guest, mbit_s: float, extra: float) -> None:
    """Doubt only grows with the dirty rate."""
    busier = replace(one, dirty=replace(one.dirty, mib_s=(one.dirty.mib_s or 0) + extra))
    calm, busy = (estimate_migration(each, mbit_s, 50) for each in (one, busier))
    # More pages seen make the figure itself better known: that may outweigh a hair's breadth of margin, no more.
    assert calm.converges >= busy.converges - 0.15


@given(guests, links)
def test_downtime_keeps_to_what_is_allowed_where_it_surely_converges(one: Guest, mbit_s: float) -> None:
    """What is left in the end fits into the allowed downtime; the switch itself comes on top."""
    cost = estimate_migration(one, mbit_s, 50)
    assert cost.converges < 0.95 or cost.downtime_ms <= one.migration.max_downtime_ms + 1000 * SWITCH_S + 1


def test_what_fits_not_into_the_downtime_does_not_converge() -> None:
    """A guest that dirties faster than the link carries does not converge, unless the hot set is small enough."""
    fast = Dirty(mib_s=2000, over_s=1)
    assert estimate_migration(guest(dirty=fast), 10000, 50).converges < 0.1
    assert estimate_migration(guest(dirty=replace(fast, hot_mib=2048)), 10000, 50).converges < 0.1
    small = estimate_migration(guest(dirty=replace(fast, mib_s=300, hot_mib=300)), 10000, 50)
    assert small.converges == 0.99
    assert 8192 < small.mib < 8192 + 2 * 300


def test_a_guest_that_would_not_converge_is_predicted_by_post_copy_where_it_may() -> None:
    """It ends, and is down for the switch only; never so when latency matters to the guest."""
    fast = guest(dirty=Dirty(2000, 1))
    allowed = replace(fast, migration=MigrationPolicy(300, allow_postcopy=True))
    cost = estimate_migration(allowed, 10000, 50)
    assert cost.note == "by post-copy"
    assert cost.converges == 0.99
    assert cost.downtime_ms == round(1000 * SWITCH_S)
    assert cost.mib <= 2 * 8192 * 1.01
    tender = replace(fast, migration=MigrationPolicy(300, allow_postcopy=True, latency_sensitive=True))
    assert estimate_migration(tender, 10000, 50) == estimate_migration(fast, 10000, 50)
    assert "post-copy" not in estimate_migration(replace(allowed, dirty=IDLE), 10000, 50).note


def test_an_unknown_rate_says_so_and_is_believed_less() -> None:
    """The default is assumed, named in a note."""
    cost = estimate_migration(guest(dirty=Dirty()), 1000, 50)
    assert cost.note == "unknown dirty rate, 50 MiB/s assumed"
    known = estimate_migration(guest(dirty=Dirty(50.0)), 1000, 50)
    assert (cost.mib, cost.seconds) == (known.mib, known.seconds)
    assert 0.5 < cost.converges < known.converges


def test_only_memory_in_use_is_sent() -> None:
    """Memory never touched costs page headers only; a use above the maximum is not believed."""
    one = guest()
    assert 1024 < estimate_migration(replace(one, usage=Usage(0, memory_mib=1024)), 10000, 50).mib < 1024 + 20
    full = estimate_migration(one, 10000, 50)
    assert estimate_migration(replace(one, usage=Usage(0, memory_mib=99999)), 10000, 50) == full


def test_what_was_learned_changes_the_figures_and_is_named() -> None:
    """Half the bandwidth doubles the time; a guest that always sends more is expected to."""
    plain = estimate_migration(guest(), 1000, 50)
    slow = estimate_migration(guest(), 1000, 50, correction=Correction(bandwidth_ratio=0.5))
    assert slow.seconds - SETUP_S == pytest.approx(2 * (plain.seconds - SETUP_S), rel=0.01)
    assert (slow.mbit_s, slow.bandwidth_ratio, slow.mib_ratio) == (500, 0.5, None)
    more = estimate_migration(guest(), 1000, 50, correction=Correction(mib_ratio=1.2))
    assert more.mib == pytest.approx(1.2 * plain.mib, rel=0.001)
    assert more.mib_ratio == 1.2
    assert more.seconds > 1.15 * plain.seconds


def test_a_faster_line_under_a_cap_shortens_the_downtime() -> None:
    """The cap is lifted for the switch-over."""
    one = guest(dirty=Dirty(20, 1, 1000))
    capped = estimate_migration(one, 1000, 50)
    free = estimate_migration(one, 1000, 50, line_mbit_s=10000)
    assert free.downtime_ms < capped.downtime_ms


def test_the_slower_end_and_the_cap_limit_the_link() -> None:
    """The migration link counts, else the network, else the assumed default; never more than the configured cap."""
    fast, slow, plain = Host("f", 1, 1, migration_mbit_s=25000), Host("s", 1, 1, net_mbit_s=1000), Host("p", 1, 1)
    assert link_mbit_s(fast, slow, None, 10000) == 1000
    assert link_mbit_s(fast, plain, None, 10000) == 10000
    assert link_mbit_s(fast, fast, None, 10000) == 25000
    assert link_mbit_s(fast, fast, 500, 10000) == 500


@pytest.mark.parametrize(
    ("need", "offer", "why"),
    [
        ({"cpu_model": "v3"}, {"cpu_models": ("v2",)}, "no CPU model v3"),
        ({"machine": "q35"}, {"machines": ("pc",)}, "no machine type q35"),
        ({"storage": ("ceph", "nfs")}, {"storage": ("ceph",)}, "does not reach storage nfs"),
        ({"networks": ("prod",)}, {"networks": ()}, "does not reach network prod"),
    ],
)
def test_a_host_that_lacks_what_a_guest_needs_cannot_run_it(
    need: dict[str, object], offer: dict[str, object], why: str
) -> None:
    """The sentence names what is missing; unknown offers reach everything, and no need asks for nothing."""
    needy = Guest("g", "a", 1, 1, Usage(0), **need)  # type: ignore[arg-type]
    host = Host("h", 1, 1, **offer)  # type: ignore[arg-type]
    assert why in (why_cannot_run(needy, host) or "")
    assert why_cannot_run(needy, Host("h", 1, 1)) is None
    assert why_cannot_run(guest(), host) is None
