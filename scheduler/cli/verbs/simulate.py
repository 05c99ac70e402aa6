"""`trimtab simulate`: the real loop on a pretend cluster, in virtual time."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from cluster.config.loader import DEFAULT
from cluster.config.settings import Mode, Settings
from cluster.errors import InputError
from reports.cluster_bars import bars_of
from reports.summary import Summary, spreads, summary_json, summary_text
from scheduler.cli.arguments import positive, whole
from scheduler.cli.context import Context
from scheduler.replay.simulated import Bench
from simulator.replay import run as replay
from simulator.scenario import Scenario
from simulator.scenario_file import load_scenario

DESCRIPTION = (
    "Run the real loop on a pretend cluster, faster than time: a scenario folder, or a cluster file whose loads stay "
    "what they are. Prints what happened, and a summary. Exit status 1: something happened that never may."
)
EXAMPLES = """\
  trimtab simulate tests/scenarios/drain_with_affinity
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
    bench = Bench()
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
    document: dict[str, object] = {"log": log, "summary": summary_json(summary)}
    if bench.world.ledgers:
        from simulator.following import accounts

        counted = accounts(bench.world)
        text += "".join(f"  {line}\n" for line in counted)
        document["accounts"] = counted
    context.result(text, document)
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
