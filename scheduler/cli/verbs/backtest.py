"""`trimtab backtest`: recorded history replayed through the real loop."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.config.loader import DEFAULT
from cluster.errors import InputError
from scheduler.cli.arguments import positive
from scheduler.cli.context import Context

if TYPE_CHECKING:
    from cluster.snapshot import Snapshot
    from simulator.traces import Trace

DESCRIPTION = (
    "Replay recorded history through the real loop, on a pretend cluster of the hosts and guests of now: what this "
    "configuration would have done, and what it would have come to. Touches nothing. The history is the store's own "
    "(four weeks of 5-minute figures), or a trace: CSV or Parquet with the columns time, guest and cpu_millicores, or "
    "a folder of PlanetLab files. Exit status 1: something happened in the replay that never may."
)
EXAMPLES = """\
  trimtab backtest
  trimtab backtest --for 86400 --set consolidate.headroom_ratio=0.2
  trimtab backtest --from cluster.json --trace loads.csv --json
"""
FOR_S = 7 * 86400.0
PAST_S = 86400.0
"""Unless told how much to replay, at least so much of a longer history is left for forecasts to know."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--from", dest="file", metavar="FILE", help="a cluster file (default: the cluster now)")
    parser.add_argument("--trace", metavar="FILE", help="recorded loads (default: the store's history)")
    parser.add_argument(
        "--for", dest="for_s", type=positive, metavar="S", help="replay the last S seconds (default: 7 days at most)"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Replay and tell."""
    from reports.backtest_text import backtest_json, backtest_text
    from scheduler.replay.backtest import backtest, backtest_settings
    from scheduler.replay.backtest_figures import figures_of

    if args.file is not None and args.trace is None:
        raise InputError("backtest: a cluster file has no history of loads; name a trace too: --trace FILE")
    snapshot, trace = _cluster_and_history(args, context)
    if not snapshot.guests or not set(trace.guests) & {name for one in snapshot.guests for name in (one.id, one.name)}:
        raise InputError(
            f"backtest: none of the {len(snapshot.guests)} guests of the cluster is in the history of "
            f"{len(trace.guests)}; guests are found by id or name"
        )
    origins = context.loaded.origins
    settings = backtest_settings(context.settings, lambda key: origins.get(key, DEFAULT) != DEFAULT)
    default_s = min(FOR_S, trace.lasts_s - PAST_S) if trace.lasts_s > 2 * PAST_S else trace.lasts_s
    said = (lambda at, text: context.note(f"{at:%Y-%m-%d %H:%M:%S} {text}")) if context.verbose else _nothing
    found = backtest(snapshot, trace, settings, args.for_s or default_s, said)
    figures = figures_of(found, snapshot)
    context.result(backtest_text(figures), backtest_json(figures))
    return 1 if found.wrong else 0


def _nothing(_at: object, _text: str) -> None:
    """Say nothing."""


def _cluster_and_history(args: argparse.Namespace, context: Context) -> tuple[Snapshot, Trace]:
    from cluster.formats.cluster_file import load_cluster
    from scheduler.cli.live import look, open_store_now
    from simulator.traces import read_trace

    trace = read_trace(Path(args.trace)) if args.trace is not None else None
    if args.file is not None and trace is not None:
        return load_cluster(Path(args.file), context.settings.collect.stale_s), trace
    from scheduler.replay.own_history import own_history

    with open_store_now(context) as store:
        snapshot = look(context, store).snapshot
        if not snapshot.hosts:
            raise InputError("backtest: no host has reported; start 'trimtab agent' on the hosts, or name --from FILE")
        return snapshot, trace or own_history(store, snapshot, context.clock.now())
