"""The engine's form of a machine reassignment problem is worth and allows what the challenge says, to the unit."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.roadef.adapter import to_instance, to_placement
from benchmarks.roadef.evaluate import broken, cost
from benchmarks.roadef.instance import Reassignment, read_instance
from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.forms import Index


def drawn(seed: int) -> Reassignment:
    """A random small problem, read from files as any other, whose given assignment keeps every rule."""
    while True:
        dice = Random(seed)
        with TemporaryDirectory() as name:
            model, assignment = Path(name) / "model", Path(name) / "assignment"
            text, placed = _files(dice)
            model.write_text(text, encoding="ascii")
            assignment.write_text(placed, encoding="ascii")
            problem = read_instance(model, assignment, f"seed {seed}")
        if broken(problem, problem.initial) is None:
            return problem
        seed += 1_000_003


def _files(dice: Random) -> tuple[str, str]:
    resources, machines, services, processes = (dice.randint(1, most) for most in (3, 4, 3, 6))
    rows = [[resources], *([dice.randint(0, 1), dice.randint(0, 9)] for _ in range(resources)), [machines]]
    for machine in range(machines):
        capacity = [dice.randint(10, 40) for _ in range(resources)]
        safety = [dice.randint(0, most) for most in capacity]
        price = [0 if other == machine else dice.randint(0, 5) for other in range(machines)]
        rows.append([dice.choice((3, 7)), dice.choice((0, 5)), *capacity, *safety, *price])
    rows.append([services])
    for _ in range(services):
        needs = dice.sample(range(services), dice.choice((0, 0, 1)))
        rows.append([dice.randint(0, 2), len(needs), *needs])
    rows.append([processes])
    rows += [
        [dice.randrange(services), *(dice.randint(0, 12) for _ in range(resources)), dice.randint(0, 9)]
        for _ in range(processes)
    ]
    balances = dice.randint(0, 2)
    rows.append([balances])
    for _ in range(balances):
        rows += [[dice.randrange(resources), dice.randrange(resources), dice.randint(0, 4)], [dice.randint(0, 9)]]
    rows.append([dice.randint(0, 9) for _ in range(3)])
    placed = " ".join(str(dice.randrange(machines)) for _ in range(processes))
    return "\n".join(" ".join(map(str, row)) for row in rows), placed


@given(st.integers(0, 2**32), st.data())
def test_value_and_rules_are_the_challenges(seed: int, data: st.DataObject) -> None:
    """For any placement the goal equals the cost, and it is valid exactly when it breaks no rule."""
    problem = drawn(seed)
    machines = len(problem.capacity)
    place: Index = problem.initial.astype(np.intp)
    for process in range(len(place)):
        if data.draw(st.booleans()):
            place[process] = data.draw(st.integers(0, machines - 1))
    instance = to_instance(problem)
    placement = to_placement(place)
    assert evaluate(instance, place).goal == cost(problem, placement).total
    assert (why_not_valid(instance, place) is None) == (broken(problem, placement) is None)
