"""`trimtab check`: rules and limits that are broken now, or in a cluster file."""

from __future__ import annotations

import argparse

from reports.units import count
from scheduler.check import Finding, check_cluster
from scheduler.cli.arguments import read_snapshot
from scheduler.cli.context import Context

DESCRIPTION = "Rules and limits that are broken now. Exit status 0: all hold, 1: some are broken."
EXAMPLES = """\
  trimtab check                             the cluster as it is seen now
  trimtab check --from cluster.json         a saved one (- reads standard input)
  trimtab check --json | jq -r '.findings[].text'
"""
_BROKEN = ("broken_rule", "over_limit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--from", dest="file", metavar="FILE", help="a cluster file, - for standard input")


def run(args: argparse.Namespace, context: Context) -> int:
    """Check and tell."""
    settings = context.settings
    if args.file is not None:
        snapshot = read_snapshot(args.file, settings)
    else:
        from scheduler.cli.live import see_now

        snapshot = see_now(context)
    findings = check_cluster(snapshot, settings.limits)
    broken = [finding for finding in findings if finding.code in _BROKEN]
    context.result(
        _text(findings, len(snapshot.hosts), len(snapshot.guests), len(snapshot.rules)),
        {
            "holds": not broken,
            "snapshot": snapshot.id,
            "findings": [{"code": one.code, "about": one.about, "text": one.text} for one in findings],
        },
    )
    return 1 if broken else 0


def _text(findings: list[Finding], hosts: int, guests: int, rules: int) -> str:
    broken = sum(finding.code in _BROKEN for finding in findings)
    head = f"{count(hosts, 'host')}, {count(guests, 'guest')}, {count(rules, 'rule')}: "
    head += f"{broken} broken" if broken else "all rules and limits hold"
    return "\n".join([head, *(f"  {finding.text}" for finding in findings)])
