"""Compiling ahead: one signature for each kernel, whatever the instance, so that a second process compiles nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from numba import typeof

from scheduler.solver.instance import Instance
from scheduler.solver.kernels.compiled import entries
from scheduler.solver.kernels.state import State, make_state
from scheduler.solver.kernels.tables import Tables, make_tables
from scheduler.solver.kernels.warm import OLD_S, argument_types, import_all, remove_old, signature_of
from tests.scheduler.solver.instances import instances

PLANS = """
import json
from benchmarks.generate import generate
from cluster.plan import EMPTYING
from policies.registry import POLICIES, make_problem
from scheduler.solver.kernels.compiled import entries
from scheduler.solver.solve import Budget, solve

snapshot = generate(5, 30, seed=3, skew=1.0, fill=0.4, rules=2)
for policy in POLICIES:
    drained = (snapshot.hosts[0].id,) if policy in EMPTYING else ()
    for max_moves in (None, 3):
        problem = make_problem(policy, snapshot, level=5, drained=drained, max_moves=max_moves)
        solve(problem, Budget(work_limit=0.05, seed=1))
print(json.dumps({
    one.__name__: [sum(one.stats.cache_hits.values()), sum(one.stats.cache_misses.values()), len(one.signatures)]
    for one in entries
}))
"""


def test_after_warming_no_plan_of_any_policy_compiles() -> None:
    """A process of its own plans with each policy, rules and caps: all it calls is loaded, each in one signature."""
    root = Path(__file__).parents[4]
    subprocess.run([sys.executable, "-m", "scheduler.solver.kernels.warm"], cwd=root, check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-c", PLANS], cwd=root, check=True, capture_output=True, text=True)
    figures: dict[str, list[int]] = json.loads(done.stdout)
    assert {name: figure for name, figure in figures.items() if figure[1] or figure[2] > 1} == {}
    for name in ("fill", "move_all", "mend_each", "seat_bundles", "anneal"):
        assert figures[name] == [1, 0, 1], name


def test_the_type_of_every_kernels_arguments_is_known() -> None:
    """Every kernel of the solver can be compiled ahead: its annotations say for what."""
    import_all()
    known = argument_types()
    assert len(entries) > 5
    for dispatcher in entries:
        assert len(signature_of(dispatcher, known)) == dispatcher.py_func.__code__.co_argcount


@settings(deadline=None, max_examples=80)
@given(instances())
def test_tables_and_state_have_one_type_whatever_the_instance(instance: Instance) -> None:
    """No instance gives arrays of another kind, layout or protection, for which all would be compiled once more."""
    known = argument_types()
    tables = make_tables(instance)
    assert typeof(tables) == known[Tables]
    assert typeof(make_state(tables, instance.home)) == known[State]


def test_only_old_code_of_other_sources_is_removed(tmp_path: Path) -> None:
    """What is of the present sources, is new, or is not named like compiled code is let be."""
    names = [f"anneal.anneal-{digest * 16}-{'f' * 16}.bin" for digest in "012"]
    for name in (*names, "notes.bin"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / names[2], (OLD_S, OLD_S))
    remove_old(tmp_path, {f"anneal.anneal-{'1' * 16}"}, now_s=1.5 * OLD_S)
    assert {path.name for path in tmp_path.iterdir()} == {names[1], names[2], "notes.bin"}
