"""Orders of moves are safe at every moment, park where moves wait in a circle, and leave out what cannot be ordered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings, target
from hypothesis import strategies as st

from cluster.limits import Limits
from cluster.problem import Problem
from cluster.rules import Affinity, GroupMoveLimit, Spread
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from scheduler.planner import Move, Ordering, order_moves
from scheduler.planner.edges import order_edges
from tests.scheduler.planner.moments import Leg, shuffles, unsafe_moments
from tests.scheduler.solver.clusters import cluster, guest, host, these


def ordered(
    snapshot: Snapshot, wanted: Mapping[str, str], max_moves: int | None = None
) -> tuple[Problem, Ordering, list[Leg]]:
    """The order of the moves to a wanted placement, any prefix being welcome, and its legs with their edges."""
    problem = make_problem("repair", snapshot, max_moves=max_moves)
    ordering = order_moves(problem, wanted, lambda _: True)
    return problem, ordering, legs_of(problem, ordering.moves)


def legs_of(problem: Problem, moves: Sequence[Move]) -> list[Leg]:
    """The moves with what each waits for."""
    edges = order_edges(problem, moves)
    return [Leg(move.guest, move.source, move.target, after) for move, after in zip(moves, edges, strict=True)]


def arrived(snapshot: Snapshot, moves: Sequence[Move]) -> dict[str, str]:
    """Where every guest is after the moves."""
    return {one.id: one.host for one in snapshot.guests} | {move.guest: move.target for move in moves}


@settings(max_examples=200)
@given(shuffles())
def test_every_moment_is_safe(case: tuple[Snapshot, dict[str, str]]) -> None:
    """Whatever is finished and whatever is under way, nothing is overfilled and no rule is worse than at the start."""
    snapshot, wanted = case
    _, ordering, legs = ordered(snapshot, wanted)
    target(float(sum(move.parking for move in ordering.moves)))
    assert unsafe_moments(snapshot, Limits(), legs) == []


@settings(max_examples=100)
@given(shuffles())
def test_each_guest_arrives_or_is_left_out_with_a_sentence(case: tuple[Snapshot, dict[str, str]]) -> None:
    """At most one parking and one final move a guest, the final one last; who does not arrive is said to be left."""
    snapshot, wanted = case
    _, ordering, _ = ordered(snapshot, wanted)
    final = arrived(snapshot, ordering.moves)
    for one in snapshot.guests:
        parkings = [move.parking for move in ordering.moves if move.guest == one.id]
        assert parkings in ([], [False], [True, False])
        if final[one.id] != wanted[one.id]:
            assert final[one.id] == one.host and one.id in ordering.dropped
        else:
            assert one.id not in ordering.dropped


@settings(max_examples=100)
@given(shuffles())
def test_edges_run_backwards_and_none_is_implied(case: tuple[Snapshot, dict[str, str]]) -> None:
    """Each edge is to an earlier move and is not reached through another."""
    _, _, legs = ordered(*case)
    before: list[set[int]] = []
    for index, leg in enumerate(legs):
        assert all(one < index for one in leg.after)
        for one in leg.after:
            assert not any(one in before[other] for other in leg.after)
        before.append({*leg.after, *(far for one in leg.after for far in before[one])})


@settings(max_examples=100)
@given(shuffles(), st.data())
def test_a_plan_cut_anywhere_and_made_again_arrives(case: tuple[Snapshot, dict[str, str]], data: st.DataObject) -> None:
    """From wherever it was stopped what is left can be ordered again, safely, and arrives.

    Rules are left aside: one that was broken and is mended half-way may not be broken again to arrive where it was.
    """
    snapshot, wanted = replace(case[0], rules=()), case[1]
    _, ordering, legs = ordered(snapshot, wanted)
    if ordering.dropped:
        return
    cut = data.draw(st.integers(0, len(legs)))
    place = arrived(snapshot, ordering.moves[:cut])
    halted = replace(snapshot, guests=tuple(replace(one, host=place[one.id]) for one in snapshot.guests))
    _, again, legs = ordered(halted, wanted)
    assert unsafe_moments(halted, Limits(), legs) == []
    assert arrived(halted, again.moves) == wanted


@settings(max_examples=60)
@given(shuffles(), st.integers(0, 6))
def test_caps_count_parking(case: tuple[Snapshot, dict[str, str]], most: int) -> None:
    """No parking is added over the cap on moves, nor over a group's."""
    snapshot, wanted = case
    moving = [one.id for one in snapshot.guests if wanted[one.id] != one.host]
    limited = GroupMoveLimit(name="few", guests=these(*moving[:2]), at_most=2)
    snapshot = replace(snapshot, rules=(*snapshot.rules, limited))
    _, ordering, _ = ordered(snapshot, wanted, max_moves=max(most, len(moving)))
    assert len(ordering.moves) <= max(most, len(moving))
    assert sum(move.guest in moving[:2] for move in ordering.moves) <= 2


def full(*names: str, gib: int = 16) -> Snapshot:
    """Hosts of 16 GiB, each with one guest that fills it: g-a on a, g-b on b, ..."""
    return cluster([host(name, gib=16) for name in names], [guest(f"g-{name}", name, gib=gib) for name in names])


def with_spare(snapshot: Snapshot, gib: int) -> Snapshot:
    """The same with an empty host of so many GiB."""
    return replace(snapshot, hosts=(*snapshot.hosts, host("spare", gib=gib)))


SWAP = {"g-a": "b", "g-b": "a"}
RING = {"g-a": "b", "g-b": "c", "g-c": "a"}


def test_two_guests_on_full_hosts_swap_by_parking_one() -> None:
    """The first is parked on the third host, and every later move waits for the one before it."""
    _, ordering, legs = ordered(with_spare(full("a", "b"), 16), SWAP)
    assert [(move.guest, move.target, move.parking) for move in ordering.moves] == [
        ("g-a", "spare", True),
        ("g-b", "a", False),
        ("g-a", "b", False),
    ]
    assert [leg.after for leg in legs] == [(), (0,), (1,)]
    assert ordering.moves[0].makes_room_for == "g-b"


def test_three_guests_on_full_hosts_change_round_by_parking_one() -> None:
    """A ring of three needs one parking, too: four moves."""
    _, ordering, _ = ordered(with_spare(full("a", "b", "c"), 16), RING)
    assert [move.parking for move in ordering.moves] == [True, False, False, False]
    assert arrived(full("a", "b", "c"), ordering.moves) == RING


def test_no_room_to_park_leaves_the_ring_as_it_is() -> None:
    """Where no host has room for any of them, nobody moves, and both are named with the reason."""
    for snapshot in (full("a", "b"), with_spare(full("a", "b"), 15)):
        _, ordering, _ = ordered(snapshot, SWAP)
        assert ordering.moves == ()
        assert set(ordering.dropped) == {"g-a", "g-b"}
        assert "no host has room to park it" in ordering.dropped["g-a"]


def test_a_cap_too_small_for_parking_leaves_the_ring_as_it_is() -> None:
    """A swap with parking is three moves: two allowed are too few."""
    _, ordering, _ = ordered(with_spare(full("a", "b"), 16), SWAP, max_moves=2)
    assert ordering.moves == ()
    _, ordering, _ = ordered(with_spare(full("a", "b"), 16), SWAP, max_moves=3)
    assert len(ordering.moves) == 3


def test_two_small_ones_are_parked_for_a_big_one() -> None:
    """No single parking makes room enough: the two small guests go to different hosts, then the big one can come."""
    guests = [guest("big", "a", gib=16), guest("s1", "b", gib=8), guest("s2", "b", gib=8)]
    hosts = [host("a", gib=16), host("b", gib=16), host("c", gib=8), host("d", gib=8)]
    snapshot = cluster(hosts, guests)
    wanted = {"big": "b", "s1": "a", "s2": "a"}
    _, ordering, legs = ordered(snapshot, wanted)
    assert arrived(snapshot, ordering.moves) == wanted
    assert sum(move.parking for move in ordering.moves) == 2
    assert unsafe_moments(snapshot, Limits(), legs) == []


def test_independent_moves_wait_for_nothing() -> None:
    """Where there is room at the start no edge is drawn."""
    guests = [guest(f"g{number}", "a", gib=4) for number in range(4)]
    snapshot = cluster([host("a"), host("b"), host("c")], guests)
    _, _, legs = ordered(snapshot, {"g0": "b", "g1": "b", "g2": "c", "g3": "c"})
    assert [leg.after for leg in legs] == [(), (), (), ()]


def test_an_order_cut_short_leaves_no_group_worse() -> None:
    """Two that belong together and cannot both come stay together: the one that could go alone is left, too."""
    guests = [guest("x", "a", gib=4), guest("y", "a", gib=16), guest("blocker", "b", gib=14)]
    snapshot = cluster([host("a", gib=20), host("b", gib=20)], guests, [Affinity(name="pair", guests=these("x", "y"))])
    _, ordering, _ = ordered(snapshot, {"x": "b", "y": "b", "blocker": "a"})
    assert ordering.moves == ()
    assert set(ordering.dropped) == {"x", "y", "blocker"}
    assert ordering.dropped["x"] == "it only makes sense together with a move that cannot be ordered"


def test_a_group_that_has_begun_to_move_is_finished_first() -> None:
    """Affinity is waived while its group moves, so the group's moves follow each other."""
    pair = Affinity(name="pair", guests=these("p1", "p2"))
    guests = [guest("p1", "a", cores=9), guest("p2", "a", cores=1), guest("z", "c", cores=8), guest("y", "c", cores=1)]
    snapshot = cluster([host(name) for name in "abc"], guests, [pair])
    _, ordering, _ = ordered(snapshot, {"p1": "b", "p2": "b", "z": "b", "y": "b"})
    order = [move.guest for move in ordering.moves]
    assert abs(order.index("p1") - order.index("p2")) == 1


def test_the_order_is_the_same_however_the_snapshot_is_sorted() -> None:
    """Ties go by id, not by the order of a file."""
    snapshot = with_spare(full("a", "b", "c"), 16)
    turned = replace(snapshot, hosts=snapshot.hosts[::-1], guests=snapshot.guests[::-1])
    assert ordered(snapshot, RING)[1] == ordered(turned, RING)[1]


def test_two_that_must_be_spread_swap_over_a_third_place() -> None:
    """There is room enough, but neither may join the other even for a moment: one goes by way of c."""
    spread = Spread(name="wide", guests=these("x", "y"), domain="host", at_least=2)
    snapshot = cluster([host(name) for name in "abc"], [guest("x", "a"), guest("y", "b")], [spread])
    _, ordering, legs = ordered(snapshot, {"x": "b", "y": "a"})
    assert [(move.guest, move.target) for move in ordering.moves] == [("x", "c"), ("y", "a"), ("x", "b")]
    assert [leg.after for leg in legs] == [(), (0,), (1,)]
    crowded = replace(snapshot, hosts=snapshot.hosts[:2])
    assert ordered(crowded, {"x": "b", "y": "a"})[1].moves == ()
