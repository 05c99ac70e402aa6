"""`trimtab simulate`: the real loop on a pretend cluster, in virtual time."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from cluster.config.loader import DEFAULT
from cluster.config.settings import Mode, Settings
from cluster.errors import InputError
from cluster.snapshot import Snapshot
from cluster.store.memory import MemoryStore
from reports.cluster_bars import bars_of
from reports.summary import Summary, spreads, summary_json, summary_text
from scheduler.cli.arguments import positive, whole
from scheduler.cli.context import Context
from scheduler.cli.turns import Turns
from scheduler.loop import Loop
from scheduler.parts import Parts
from simulator.clock import SimClock
from simulator.executor import SimMigrationExecutor, SimPowerExecutor
from simulator.fleet import SimFleet
from simulator.replay import run as replay
from simulator.scenario import Scenario
from simulator.scenario_file import load_scenario
from simulator.world import World

DESCRIPTION = (
    "Run the real loop on a pretend cluster, faster than time: a scenario folder, or a cluster file whose loads stay "
    "what they are. Prints what happened, and a summary. Exit status 1: something happened that never may."
)
EXAMPLES = """\
  trimtab simulate tests/scenarios/drain
  trimtab simulate --from cluster.json --for 1800
  trimtab simulate --from cluster.json --set scheduler.policy=consolidate --json
"""
FOR_S = 3600.0
WORK_LIMIT = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("scenario", metavar="SCENARIO", nargs="?", help="a scenario's folder")
    parser.add_argument("--from", dest="file", metavar="FILE", help="a cluster file instead")
    parser.add_argument("--for", dest="for_s", type=positive, metavar="S", help="seconds of virtual time")
    parser.add_argument("--seed", type=whole(0, 2**31 - 1), metavar="N", help="of loads and plans")


def run(args: argparse.Namespace, context: Context) -> int:
    """Let the time pass and tell."""
    if (args.scenario is None) == (args.file is None):
        raise InputError("simulate: name a scenario's folder or a cluster file: SCENARIO or --from FILE, one of both")
    scenario = _from_file(args.file, context) if args.file is not None else load_scenario(Path(args.scenario))
    if args.for_s is not None:
        scenario = replace(scenario, duration_s=args.for_s)
    if args.seed is not None:
        seeded = replace(scenario.settings, scheduler=replace(scenario.settings.scheduler, seed=args.seed))
        scenario = replace(scenario, seed=args.seed, settings=seeded)
    bench = _Bench()
    log = replay(scenario, bench.loop)
    before, after = bench.before, bench.world.snapshot()
    (cpu_before, memory_before), (cpu_after, memory_after) = spreads(before), spreads(after)
    tally = bench.world.tally()
    summary = Summary(
        lasted_s=scenario.duration_s,
        cpu_before=cpu_before,
        cpu_after=cpu_after,
        memory_before=memory_before,
        memory_after=memory_after,
        moves_done=tally.moves_done,
        moves_failed=tally.moves_failed,
        moved_mib=tally.moved_mib,
        unresolved=len(bench.store.unresolved()),
        wrong=tuple(one.text for one in bench.world.violations()),
    )
    text = (
        "\n".join([line for line in log if not line.startswith("end ")]) + "\n" + summary_text(summary, bars_of(after))
    )
    context.result(text, {"log": log, "summary": summary_json(summary)})
    return 1 if summary.wrong else 0


def _from_file(file: str, context: Context) -> Scenario:
    from cluster.formats.cluster_file import load_cluster

    path = Path(file).absolute()
    snapshot = load_cluster(path, context.settings.collect.stale_s)
    return Scenario(
        duration_s=FOR_S,
        start=snapshot.taken_at,
        seed=context.settings.scheduler.seed,
        cluster_file=path.name,
        folder=path.parent,
        settings=_acting(context),
    )


def _acting(context: Context) -> Settings:
    """Return the settings, acting unless told otherwise, and planning by work done, so that a run can be repeated."""
    settings, origins = context.settings, context.loaded.origins
    chosen = settings.scheduler
    mode = Mode.ACT if origins.get("scheduler.mode", DEFAULT) == DEFAULT else chosen.mode
    work_limit = WORK_LIMIT if chosen.work_limit is None else chosen.work_limit
    gate = settings.gate
    if origins.get("gate.quiet_start_s", DEFAULT) == DEFAULT:
        gate = replace(gate, quiet_start_s=0.0)
    return replace(settings, scheduler=replace(chosen, mode=mode, work_limit=work_limit), gate=gate)


class _Bench:
    """What stays when the loop crashes and comes up again: the world and the store."""

    def __init__(self) -> None:
        self.world: World
        self.store: MemoryStore
        self.before: Snapshot
        self._loops = 0

    def loop(self, world: World, settings: Settings, clock: SimClock) -> _SimulatedLoop:
        """Return a loop on the world: the first, or one that comes after a crash."""
        if not self._loops:
            self.world, self.store, self.before = world, MemoryStore(clock), world.snapshot()
        self._loops += 1
        return _SimulatedLoop(world, settings, clock, self.store, f"loop-{self._loops}")


class _SimulatedLoop:
    """The real loop as `simulator.replay` drives one."""

    def __init__(self, world: World, settings: Settings, clock: SimClock, store: MemoryStore, holder: str) -> None:
        self._lines: list[str] = []
        self._store = store
        fleet = SimFleet(world, store, clock, settings.collect)
        parts = Parts(store, fleet, SimMigrationExecutor(world), SimPowerExecutor(world), world)
        self._clock = clock
        self._loop = Loop(parts, settings, clock, holder, self._lines.append)
        self._turns = Turns(self._loop.jobs(), clock, self._lines.append)

    @property
    def next_due_s(self) -> float:
        """When the next job is due."""
        return self._turns.next_due_s

    def step(self) -> None:
        """Run the jobs that are due."""
        self._turns.step()

    def command(self, verb: str, argument: str) -> None:
        """Do what the verb of the command line does, by the store."""
        flag = {"pause": "paused", "resume": "paused"}.get(verb, f"{verb.removeprefix('un')}:{argument}")
        if verb in ("pause", "drain", "fail"):
            self._store.set_flag(flag, "a person")
        elif verb in ("resume", "undrain", "unfail"):
            self._store.set_flag(flag, None)
        else:
            from cluster.store.protocol import Command

            number = f"{verb}-{self._clock.monotonic_s()}"
            self._store.push_command(Command(number, verb, argument, "a person", self._clock.now()))

    def take_lines(self) -> list[str]:
        """Return what the loop has said."""
        taken = list(self._lines)
        self._lines.clear()
        return taken

    def close(self) -> None:
        """Give up leadership; the store stays."""
        self._loop.close()
