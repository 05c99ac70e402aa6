"""`trimtab plan` run as a user runs it, a process of its own, and the placement its plan leads to."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import TrimtabError


@dataclass(frozen=True, slots=True)
class PlanRun:
    """Where the guests that move end, and what it took; `process_s` is the wall clock's, start of Python included.

    `asleep` are the hosts put to sleep, `gap` is the plan's proven one.
    """

    hosts: dict[str, str]
    process_s: float
    cpu_s: float
    solve_s: float
    status: str
    asleep: frozenset[str] = frozenset()
    gap: float = 0.0

    def time(self) -> str:
        """Return what it took, for a line of figures."""
        return f"{self.process_s:.2f} s process ({self.cpu_s:.2f} s CPU), {self.solve_s:.3f} s solving"


def run_plan(cluster_file: Path, arguments: Sequence[str]) -> PlanRun:
    """Run `trimtab plan --from FILE --json` with more arguments. Raises `TrimtabError` when it gives no plan."""
    command = [str(Path(sys.executable).with_name("trimtab")), "plan", "--from", str(cluster_file), "--json"]
    cpu_before_s, began_s = _children_cpu_s(), time.perf_counter()
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    process_s, cpu_s = time.perf_counter() - began_s, _children_cpu_s() - cpu_before_s
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise TrimtabError(f"{' '.join(command)}: exit status {done.returncode}: {said[-1] if said else 'no word'}")
    plan = json.loads(done.stdout)
    hosts = {step["guest"]: step["to"] for step in plan["steps"] if step["kind"] == "migrate" and not step["parking"]}
    asleep = frozenset(step["host"] for step in plan["steps"] if step["kind"] == "sleep")
    return PlanRun(hosts, process_s, cpu_s, plan["solve_s"], plan["status"], asleep, plan["gap"])


def balance_arguments(max_moves: int, level: int, time_limit_s: float | None) -> list[str]:
    """Return the arguments of a capped balance plan, the deadline left to trimtab unless given."""
    arguments = ["--policy", "balance", "--level", str(level), "--max-moves", str(max_moves)]
    return arguments if time_limit_s is None else [*arguments, "--time-limit", f"{time_limit_s:g}"]


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
