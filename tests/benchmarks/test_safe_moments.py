"""The oracle of worst moments agrees with brute force, and plans of tight clusters are safe at every moment."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.safe_moments import look_at, run
from benchmarks.tight_clusters import KINDS, tight_cluster
from benchmarks.worst_moments import greatest_added, impossible_moves, overfilled, unsafe, worse_rules, wrong_power
from cluster.limits import Limits
from cluster.plan import Estimate, Migrate, Sleep, Wake
from cluster.rules import Affinity
from cluster.snapshot import Snapshot
from tests.scheduler.planner.moments import Leg, moments, shuffles, unsafe_moments
from tests.scheduler.solver.clusters import cluster, guest, host, these

ESTIMATE = Estimate(1, 1.0, 1, 1.0, 1)


def move(number: int, guest_id: str, source: str, target: str, *after: int) -> Migrate:
    """Step `number`, which waits for others by number."""
    return Migrate(f"s{number}", guest_id, source, target, "", ESTIMATE, after=tuple(f"s{one}" for one in after))


@st.composite
def any_steps(draw: st.DrawFn) -> tuple[Snapshot, list[Migrate], list[Leg]]:
    """Up to six moves of a tight cluster in any order with any edges, as steps and for brute force."""
    snapshot, _ = draw(shuffles())
    where = {one.id: one.host for one in snapshot.guests}
    steps: list[Migrate] = []
    legs: list[Leg] = []
    for number in range(draw(st.integers(1, 6))):
        moving = draw(st.sampled_from(sorted(where)))
        target = draw(st.sampled_from([one.id for one in snapshot.hosts]))
        if target == where[moving]:
            continue
        number = len(steps)
        after = tuple(one for one in range(number) if steps[one].guest == moving or draw(st.integers(0, 2)) == 0)
        steps.append(move(number, moving, where[moving], target, *after))
        legs.append(Leg(moving, where[moving], target, after))
        where[moving] = target
    assume(steps)
    return snapshot, steps, legs


@settings(max_examples=200)
@given(any_steps())
def test_the_cut_is_the_worst_of_all_closed_sets(case: tuple[Snapshot, list[Migrate], list[Leg]]) -> None:
    """For every host: what a minimum cut says a moment adds in memory is what trying every moment says."""
    snapshot, steps, legs = case
    size = {one.id: one.memory_mib + one.overhead_mib for one in snapshot.guests}
    for one in snapshot.hosts:
        worst = 0
        for finished, under_way in moments(legs):
            arrived = sum(size[legs[leg].guest] for leg in finished | under_way if legs[leg].target == one.id)
            worst = max(worst, arrived - sum(size[legs[leg].guest] for leg in finished if legs[leg].source == one.id))
        assert greatest_added(snapshot, steps, one.id, "memory") == worst


@settings(max_examples=200)
@given(any_steps())
def test_the_oracle_finds_what_brute_force_finds(case: tuple[Snapshot, list[Migrate], list[Leg]]) -> None:
    """Rooms and rules each, when and only when some moment breaks them."""
    snapshot, steps, legs = case
    wrong = {text.split()[0] for text in unsafe_moments(snapshot, Limits(), legs)}
    rules = {rule.name for rule in snapshot.rules}
    assert bool(list(overfilled(snapshot, Limits(), steps))) == bool(wrong - rules)
    assert {text.split()[0] for text in worse_rules(snapshot, steps)} == wrong & rules


def test_a_guest_that_may_start_from_elsewhere_is_found() -> None:
    """Its final move does not wait for its parking, or leaves from a host it is not on."""
    snapshot = cluster([host(name) for name in "abc"], [guest("g", "a")])
    assert list(impossible_moves(snapshot, [move(1, "g", "a", "b"), move(2, "g", "b", "c", 1)])) == []
    assert len(list(impossible_moves(snapshot, [move(1, "g", "a", "b"), move(2, "g", "b", "c")]))) == 1
    assert len(list(impossible_moves(snapshot, [move(1, "g", "b", "c")]))) == 1


def test_power_steps_at_the_wrong_moment_are_found() -> None:
    """A host that sleeps with a guest on it or too early, and a guest that comes before its host is awake."""
    snapshot = cluster([host(name) for name in "abc"], [guest("g", "a")])
    leaves = move(1, "g", "a", "b")
    assert list(wrong_power(snapshot, [leaves, Sleep("z", "a", "", after=("s1",))])) == []
    assert len(list(wrong_power(snapshot, [leaves, Sleep("z", "a", "")]))) == 1
    assert len(list(wrong_power(snapshot, [Sleep("z", "a", "")]))) == 1
    assert len(list(wrong_power(snapshot, [Wake("w", "b", ""), leaves]))) == 1
    assert list(wrong_power(snapshot, [Wake("w", "b", ""), replace(leaves, after=("w",))])) == []


def test_an_affinity_may_be_torn_while_its_group_moves_and_not_at_the_end() -> None:
    """Two that belong together go one after the other: safe when both go, not when one does."""
    pair = Affinity(name="pair", guests=these("x", "y"))
    snapshot = cluster([host(name) for name in "ab"], [guest("x", "a"), guest("y", "a")], [pair])
    first, second = move(1, "x", "a", "b"), move(2, "y", "a", "b", 1)
    assert unsafe(snapshot, Limits(), [first, second]) == []
    assert unsafe(snapshot, Limits(), [first]) == ["pair is worse at the end"]


def test_plans_of_tight_clusters_are_safe_and_broken_ones_are_found() -> None:
    """Every kind of cluster; enough of the plans are long, chained and parking for this to mean something."""
    count = run(range(48), 1)
    assert count.wrong == []
    assert count.unsure == 0
    assert set(count.plans) == set(KINDS)
    assert count.long_plans >= 40 and count.chained_plans >= 40 and count.parkings >= 5 and count.sleeps >= 5
    assert count.mutants.total() >= 500 and count.caught == count.mutants


def test_a_seed_gives_the_same_cluster_and_count_again() -> None:
    """A failing seed can be looked at alone."""
    assert tight_cluster(7) == tight_cluster(7)
    assert look_at(7) == look_at(7)
