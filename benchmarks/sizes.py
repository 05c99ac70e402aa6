"""What a plan takes over the size of the cluster: `python -m benchmarks.sizes 100x1000 1000x10000 10000x100000`.

For each size `trimtab plan --policy balance --level 5` runs as a process of its own, with time to solve in proportion
to the hosts. Printed are seconds of the whole process, start of Python included (wall clock and CPU), CPU seconds of
its parts, its peak of resident memory, and the imbalance (RMS) before and after with the proven gap of the goal.
Parts: reading the file; lowering the problem to arrays; the rest of solving; ordering and checking the moves, with all
that a plan says of them; writing the plan.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.generate import generate
from cluster.errors import TrimtabError
from cluster.formats.cluster_file import write_cluster

SIZES = ["100x1000", "300x3000", "1000x10000", "3000x30000", "10000x100000"]
PARTS = ("read", "lower", "solve", "plan", "write")
HEADER = (
    f"{'size':>13} {'limit':>5} | {'wall':>6} {'CPU':>6} | "
    + " ".join(f"{part:>6}" for part in PARTS)
    + f" | {'MiB':>5} | {'RMS before':>10} {'after':>8} {'moves':>6} {'GiB':>8} {'gap':>7}"
)


def main() -> None:
    """Measure every size asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sizes", nargs="*", default=["100x1000", "300x3000", "1000x10000", "3000x30000", "10000x100000"]
    )
    parser.add_argument("--ms-per-host", type=float, default=2.0, help="of solving (default: 2)")
    parser.add_argument("--least-s", type=float, default=1.0, help="of solving, however few the hosts (default: 1)")
    parser.add_argument("--max-moves", type=int)
    parser.add_argument("--moves-per-host", type=float, help="a cap in proportion to the hosts instead")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rules", type=int, default=0, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _measured(options.child)
        return
    print(HEADER, flush=True)
    for size in options.sizes:
        hosts, guests = (int(part) for part in size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "cluster.json"
            file.write_text(write_cluster(generate(hosts, guests, options.seed, rules=options.rules)), encoding="utf-8")
            cap = options.max_moves if options.moves_per_host is None else round(options.moves_per_host * hosts)
            limit_s = max(options.least_s, options.ms_per_host * hosts / 1000)
            print(_line(size, hosts, file, cap, limit_s, options.workers), flush=True)


def _line(size: str, hosts: int, file: Path, cap: int | None, limit_s: float, workers: int) -> str:
    """Plan for a file in a child process and say what it took."""
    plan_file, parts_file = file.with_name("plan.json"), file.with_name("parts.json")
    verb = ["plan", "--from", str(file), "--policy", "balance", "--level", "5", "--time-limit", f"{limit_s:g}"]
    verb += ["--workers", str(workers), "--out", str(plan_file)]
    verb += [] if cap is None else ["--max-moves", str(cap)]
    began_s = time.perf_counter()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "benchmarks.sizes", "--child", str(parts_file), *verb],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(child, 0)
    wall_s = time.perf_counter() - began_s
    if os.waitstatus_to_exitcode(status) != 0:
        raise TrimtabError(f"{size}: trimtab {' '.join(verb)}: exit status {os.waitstatus_to_exitcode(status)}")
    took = json.loads(parts_file.read_text(encoding="utf-8"))
    plan = json.loads(plan_file.read_text(encoding="utf-8"))
    goal, mib, moves = plan["goals"][1], plan["goals"][-2]["after"], plan["goals"][-1]["after"]
    before, after = ((goal[when] / (2 * hosts)) ** 0.5 for when in ("before", "after"))
    return (
        f"{size:>13} {limit_s:>5.3g} | {wall_s:>6.2f} {used.ru_utime + used.ru_stime:>6.2f} | "
        + " ".join(f"{took[part]:>6.2f}" for part in PARTS)
        + f" | {used.ru_maxrss / 1024:>5.0f} | {before:>10.4f} {after:>8.5f} {moves:>6.0f} {mib / 1024:>8.0f}"
        + f" {plan['gap']:>7.4f}"
    )


def _measured(arguments: Sequence[str]) -> None:
    """Do what `trimtab` does with the arguments after the first, and write what its parts took to that file."""
    import scheduler.solver.solve as solving
    import scheduler.solver.worth as worth
    from scheduler.cli import main as trimtab
    from scheduler.cli.verbs import plan

    took = dict.fromkeys(("look", "make", "put", "lower", "solve", "lower again"), 0.0)
    for module, name, part in (
        (plan, "_look", "look"),
        (plan, "_make", "make"),
        (plan, "_put", "put"),
        (solving, "solve", "solve"),
        (solving, "lower_problem", "lower"),
        (worth, "lower_problem", "lower again"),
    ):
        setattr(module, name, _timed(getattr(module, name), took, part))
    status = trimtab(list(arguments[1:]))
    lowering = took["lower"] + took["lower again"]
    parts = {
        "read": took["look"],
        "lower": lowering,
        "solve": took["solve"] - took["lower"],
        "plan": took["make"] - took["solve"] - took["lower again"],
        "write": took["put"],
    }
    Path(arguments[0]).write_text(json.dumps(parts), encoding="utf-8")
    sys.exit(status)


def _timed(function: Callable[..., Any], took: dict[str, float], part: str) -> Callable[..., Any]:
    """The function, which adds the process's CPU seconds to a part."""

    @wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        began_s = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            took[part] += time.process_time() - began_s

    return timed


if __name__ == "__main__":
    main()
