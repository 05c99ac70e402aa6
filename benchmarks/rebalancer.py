"""Meta's `rebalancer` package, run on a snapshot in an environment of its own, since it needs Python 3.12.

The same objective as trimtab's: CPU and memory each balanced over hosts, with equal weight, within capacity. Of the
package's formulas, `squares` (the default here) and `linear` look at what is over the mean only; `variance` is the
contract's I. Moves are single shifts, and swaps when asked for: with swaps it evens out further, with about twice the
moves and GiB and ten times the time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import InputError, TrimtabError
from cluster.snapshot import Snapshot

FORMULAS = {"linear": 1, "squares": 2, "max": 3, "ideal": 4, "variance": 6}
"""BalanceSpecFormula by name; the package's Python binding takes the numbers only."""

PACKAGE = "rebalancer==1.0.4"
PYTHONS = ("python3.12", "python3.13", "python3.14")
WORKER = Path(__file__).with_name("rebalancer_worker.py")


@dataclass(frozen=True, slots=True)
class RebalancerRun:
    """The host of every guest, and the seconds of its `solve()`, wall clock and CPU of all its threads."""

    hosts: dict[str, str]
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Search:
    """How its local search is set up; `stop_after_moves` and the time limit end it before it finds nothing more."""

    formula: str = "squares"
    swaps: bool = False
    stop_after_moves: int | None = None
    solve_time_s: int = 300


def environment(folder: Path, python: Path | None) -> Path:
    """Return the Python of the environment in a folder, made and filled on the first run.

    Raises `InputError` when there is no Python of at least 3.12, or the package cannot be installed.
    """
    inside = folder / "bin" / "python"
    if not inside.exists():
        _run([str(python or _python()), "-m", "venv", str(folder)], f"{folder}: no environment could be made")
    if subprocess.run([str(inside), "-I", "-c", "import rebalancer"], capture_output=True, check=False).returncode:
        _run([str(inside), "-m", "pip", "install", "--quiet", PACKAGE], f"{PACKAGE} could not be installed")
    return inside


def run_rebalancer(snapshot: Snapshot, inside: Path, search: Search) -> RebalancerRun:
    """Solve a snapshot. Raises `TrimtabError` when the package fails."""
    given = {
        "hosts": {
            host.id: (
                host.cpu_millicores - host.reserved.cpu_millicores,
                host.memory_mib - host.reserved.memory_mib,
            )
            for host in snapshot.hosts
        },
        "guests": {
            guest.id: (guest.host, guest.usage.cpu_millicores or 0, guest.memory_mib + guest.overhead_mib)
            for guest in snapshot.guests
        },
        "formula": FORMULAS[search.formula],
        "swaps": search.swaps,
        "stop_after_moves": search.stop_after_moves,
        "solve_time_s": search.solve_time_s,
    }
    done = subprocess.run(
        [str(inside), "-I", str(WORKER)], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise TrimtabError(f"rebalancer: exit status {done.returncode}: {done.stderr.strip()[-300:]!r}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return RebalancerRun(answer["hosts"], answer["wall_s"], answer["cpu_s"])


def _python() -> Path:
    """A Python of 3.12 or later that starts; a version manager's stand-ins are on the path even where it is not."""
    for candidate in _candidates():
        works = subprocess.run([str(candidate), "-c", "import venv"], capture_output=True, check=False)
        if works.returncode == 0:
            return candidate
    raise InputError(f"no {PYTHONS[0]} at hand, which {PACKAGE} needs; give --python PROGRAM")


def _candidates() -> Iterator[Path]:
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    for name in PYTHONS:
        found = shutil.which(name)
        if found:
            yield Path(found)
        for root in filter(None, roots):
            yield from sorted(Path(root).glob(f"versions/*/bin/{name}"))


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise InputError(f"{what}: {said[-1] if said else 'no word why'}")
