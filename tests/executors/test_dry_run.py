"""Pretended migrations, and the names executors go by."""

from __future__ import annotations

import sys

import pytest

from cluster.config.settings import MigrationSettings
from cluster.errors import InputError
from cluster.plan import Sleep, StepState
from cluster.store.memory import MemoryStore
from executors.dry_run import DryRunMigrationExecutor, DryRunPowerExecutor
from executors.protocol import Presence, Sighting
from executors.registry import MIGRATION_EXECUTORS, Means, migration_executor
from executors.runner import PlanRunner
from tests.executors.world import ManualClock, migrate, plan


def test_a_whole_plan_is_pretended_in_its_estimated_time() -> None:
    """The runner carries a plan out with executors that touch nothing."""
    clock = ManualClock()
    store = MemoryStore(clock)
    lease = store.acquire_lease("a", 3600.0)
    executor = migration_executor("dry-run", Means(clock))
    quiet = (lambda _plan, _step: None, lambda: None, lambda: lease)
    runner = PlanRunner(store, executor, DryRunPowerExecutor(), clock, MigrationSettings(), *quiet)
    first, second = migrate("s1", "g1", "h1", "h2"), migrate("s2", "g2", "h1", "h2", after=("s1",))
    runner.begin(plan(first, second, Sleep("s3", "h1", "night", after=("s2",))))
    while store.active_plan() is not None:
        runner.tick()
        clock.sleep(0.5)
    record = store.plan("p1")
    assert record is not None and {step.state for step in record.steps.values()} == {StepState.DONE}
    assert record.steps["s1"].mib == first.estimate.mib
    assert 10.0 <= clock.elapsed_s <= 12.0


def test_an_aborted_pretence_stays_where_it_was() -> None:
    """An abort in mid-flight leaves the guest on its source; one that comes too late changes nothing."""
    clock = ManualClock()
    executor = DryRunMigrationExecutor(clock)
    step = migrate("s1", "g1", "h1", "h2")
    executor.start(step, 0)
    assert executor.look(step) == Sighting(Presence.LEAVING, Presence.ARRIVING)
    executor.abort(step)
    assert executor.look(step) == Sighting(Presence.RUNNING, Presence.ABSENT)
    executor.start(step, 0)
    clock.sleep(6.0)
    executor.abort(step)
    assert executor.look(step) == Sighting(Presence.ABSENT, Presence.RUNNING)


def test_every_registered_executor_is_made_without_touching_a_host() -> None:
    """Making an executor connects to nothing."""
    for name in MIGRATION_EXECUTORS:
        assert migration_executor(name, Means(ManualClock())) is not None


def test_an_unknown_executor_is_refused_with_what_is_allowed() -> None:
    """The message names the allowed ones."""
    with pytest.raises(InputError, match="allowed: dry-run, libvirt"):
        migration_executor("vmotion", Means(ManualClock()))


def test_the_libvirt_library_is_loaded_only_when_it_is_used() -> None:
    """Importing the executors does not load libvirt, which would slow every command down."""
    import subprocess

    code = (
        "import sys, executors.registry, executors.runner, executors.libvirt_migration; print('libvirt' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
