"""`trimtab capture`: the cluster of this moment as a file, for planning, bug reports and tests."""

from __future__ import annotations

import argparse
from pathlib import Path

from cluster.formats.cluster_file import write_cluster
from scheduler.cli.arguments import STDOUT, write_file
from scheduler.cli.context import Context
from scheduler.cli.live import see_now

DESCRIPTION = (
    "Write the cluster of this moment to a cluster file, which 'plan', 'check' and 'simulate' read with --from."
)
EXAMPLES = """\
  trimtab capture cluster.json
  trimtab capture cluster.json --anonymise  for a bug report: sizes and structure stay, names do not
  trimtab capture - | trimtab plan --from -
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", metavar="FILE", help="where to write; - is standard output")
    parser.add_argument("--anonymise", action="store_true", help="replace names, labels and domains by stable numbers")


def run(args: argparse.Namespace, context: Context) -> int:
    """Look, and write."""
    snapshot = see_now(context)
    if args.anonymise:
        from scheduler.cli.anonymise import anonymise

        snapshot = anonymise(snapshot)
    text = write_cluster(snapshot)
    if args.file == STDOUT:
        context.write(text)
        return 0
    write_file(Path(args.file), text)
    said = f"{len(snapshot.hosts)} hosts, {len(snapshot.guests)} guests, {len(snapshot.rules)} rules"
    context.result(
        f"written to {args.file}: {said}",
        {"file": args.file, "snapshot": snapshot.id, "hosts": len(snapshot.hosts), "guests": len(snapshot.guests)},
    )
    return 0
