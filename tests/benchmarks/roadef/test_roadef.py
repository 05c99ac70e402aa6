"""The challenge's files are read whole or refused, and every rule and every part of the cost is evaluated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.integers import IntArray
from benchmarks.roadef.evaluate import broken, cost
from benchmarks.roadef.instance import Reassignment, find_instance, read_assignment
from benchmarks.roadef.reference import REFERENCES, score
from cluster.errors import InputError
from tests.benchmarks.data import data_folder

MODEL = """\
2
1 3
0 5
3
0 0 10 20 6 15 0 1 2
0 1 10 20 8 15 1 0 2
1 1 12 20 9 20 2 2 0
3
1 0
2 0
0 1 0
4
0 4 5 7
1 3 2 1
1 3 2 1
2 2 9 4
1
0 1 2 10
1 10 100
"""
"""Three machines (two neighborhoods, two locations), three services, four processes; the third needs the first near."""

INITIAL = "0 0 1 0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the instance `tiny`."""
    (tmp_path / "model_tiny.txt").write_text(MODEL, encoding="ascii")
    (tmp_path / "assignment_tiny.txt").write_text(INITIAL, encoding="ascii")
    return tmp_path


@pytest.fixture
def tiny(folder: Path) -> Reassignment:
    """The instance `tiny`, read."""
    return find_instance(folder, "tiny")


def at(*machines: int) -> IntArray:
    """A placement."""
    return np.array(machines, dtype=np.int64)


def test_every_field_lands_where_the_format_says(tiny: Reassignment) -> None:
    """Rows of machines and processes are cut into their columns."""
    assert tiny.transient.tolist() == [True, False]
    assert tiny.load_weight.tolist() == [3, 5]
    assert tiny.capacity.tolist() == [[10, 20], [10, 20], [12, 20]]
    assert tiny.safety.tolist() == [[6, 15], [8, 15], [9, 20]]
    assert tiny.machine_move_cost.tolist() == [[0, 1, 2], [1, 0, 2], [2, 2, 0]]
    assert tiny.neighborhood.tolist() == [0, 0, 1]
    assert tiny.location.tolist() == [0, 1, 1]
    assert tiny.dependencies == ((), (), (0,))
    assert tiny.requirement.tolist() == [[4, 5], [3, 2], [3, 2], [2, 9]]
    assert tiny.process_move_cost.tolist() == [7, 1, 1, 4]
    assert (tiny.process_move_weight, tiny.service_move_weight, tiny.machine_move_weight) == (1, 10, 100)


def test_the_given_assignment_costs_load_and_balance_only(tiny: Reassignment) -> None:
    """Machine 0 uses (9, 16) over safety (6, 15); free (1, 4), (7, 18), (12, 20) miss no or 4 units of the target."""
    found = cost(tiny, tiny.initial)
    assert (found.load, found.balance) == (3 * 3 + 5 * 1, 10 * (2 * 12 - 20))
    assert (found.process_moves, found.service_moves, found.machine_moves) == (0, 0, 0)
    assert found.total == 14 + 40
    assert broken(tiny, tiny.initial) is None


def test_moves_are_charged_by_process_service_and_machine(tiny: Reassignment) -> None:
    """Service 1 moves two processes, so the most moved of a service is two, whatever else moves."""
    found = cost(tiny, at(1, 2, 0, 0))
    assert found.process_moves == 7 + 1 + 1
    assert found.service_moves == 10 * 2
    assert found.machine_moves == 100 * (1 + 2 + 1)


@pytest.mark.parametrize(
    ("placement", "says"),
    [
        (at(0, 0, 1), "length: found 3 machines"),
        (at(0, 0, 3, 0), "machine of process 2: found 3; allowed: 0 to 2"),
        (at(1, 0, 1, 1), None),
        (at(0, 2, 2, 0), "conflict: service 1 has 2 processes on machine 2"),
        (at(0, 1, 2, 0), "spread: service 1 is at 1 locations; allowed: 2 and more"),
        (at(0, 0, 1, 2), "dependency: service 2 is in neighborhood 1, service 0 is not"),
        (at(0, 1, 0, 0), "capacity during the moves: machine 0, resource 0: found 12; allowed: 10"),
    ],
)
def test_what_a_placement_breaks_is_said_in_one_line(tiny: Reassignment, placement: IntArray, says: str | None) -> None:
    """Each rule has a placement that breaks it and no other."""
    found = broken(tiny, placement)
    assert found == says if says is None else found is not None and found.startswith(says) and "\n" not in found


def test_capacity_after_the_moves_is_a_rule_of_its_own(folder: Path) -> None:
    """A machine overfull at the end is refused even for a resource that is not counted at both ends."""
    (folder / "model_tiny.txt").write_text(MODEL.replace("2 2 9 4", "2 2 18 4"), encoding="ascii")
    found = broken(find_instance(folder, "tiny"), at(1, 0, 1, 0))
    assert found is None
    found = broken(find_instance(folder, "tiny"), at(0, 0, 1, 0))
    assert found == "capacity after the moves: machine 0, resource 1: found 25; allowed: 20"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1 3\n0 5", "2 3\n0 5", "line 2, field 1: transient of a resource: found 2; allowed: 0 to 1"),
        ("15 1 0 2", "15 1 7 2", "line 6, field 8: move cost to itself: found 7; allowed: 0 to 0"),
        ("0 1 0\n", "0 1 3\n", "line 11, field 3: dependency of service 2: found 3; allowed: 0 to 2"),
        ("2 2 9 4", "3 2 9 4", "line 16, field 1: service of a process: found 3; allowed: 0 to 2"),
        ("0 1 2 10", "0 2 2 10", "line 18, field 2: resource of a balance objective: found 2; allowed: 0 to 1"),
        ("1 10 100", "1 10", "ends early at weight of machine moves"),
        ("1 10 100", "1 10 100 5", "line 19, field 4: the end: found 1 more integers"),
        ("0 4 5 7", "0 4 x 7", "line 13, field 3: a number of the file: found x; allowed: an integer"),
        ("0 4 5 7", "0 4 -5 7", "line 13, field 3: a number of the file: found -5; allowed: an integer of 0 to"),
        ("0 4 5 7", "0 4 5 99999999999999999999", "line 13, field 4: a number of the file: found 9999"),
    ],
)
def test_a_malformed_model_is_refused_by_line_and_field(folder: Path, old: str, new: str, says: str) -> None:
    """The refusal is one line with the file, the place, what was found and what is allowed."""
    (folder / "model_tiny.txt").write_text(MODEL.replace(old, new), encoding="ascii")
    with pytest.raises(InputError) as refused:
        find_instance(folder, "tiny")
    assert says in str(refused.value) and "model_tiny.txt" in str(refused.value) and "\n" not in str(refused.value)


def test_an_assignment_must_name_a_machine_for_every_process(folder: Path) -> None:
    """Too few, too many, and machines that are not there are refused."""
    path = folder / "solution.txt"
    for text, says in (("0 0 1", "needed 4"), ("0 0 1 0 0", "the end"), ("0 0 1 3", "found 3; allowed: 0 to 2")):
        path.write_text(text, encoding="ascii")
        with pytest.raises(InputError, match=says):
            read_assignment(path, 4, 3)


def test_an_unknown_instance_is_refused_with_the_known_ones(folder: Path) -> None:
    """The refusal lists what is there."""
    with pytest.raises(InputError, match="instances there: tiny"):
        find_instance(folder, "b_9")


def test_the_winners_score_is_the_published_sum() -> None:
    """The ten A instances of the challenge's winner sum to 7.1."""
    assert sum(score(one.winner, one) for name, one in REFERENCES.items() if name.startswith("a")) == pytest.approx(
        7.1, abs=0.05
    )


def test_the_worked_example_costs_what_the_subject_says() -> None:
    """Initial, one move, and the optimum of the challenge's own example."""
    example = find_instance(data_folder("roadef2012"), "example")
    assert cost(example, example.initial).total == 4200
    assert cost(example, at(0, 2, 0)).total == 3510
    assert cost(example, at(0, 2, 1)).total == 2411
    assert broken(example, at(0, 2, 1)) is None


@pytest.mark.parametrize("name", ["a1_1", "a1_4", "a2_5", "b_1"])
def test_the_given_assignments_cost_what_was_published(name: str) -> None:
    """The evaluator agrees with the published initial costs to the unit."""
    instance = find_instance(data_folder("roadef2012"), name)
    assert cost(instance, instance.initial).total == REFERENCES[name].initial
    assert broken(instance, instance.initial) is None
