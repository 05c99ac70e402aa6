"""What few moves need is loaded before the clock of a plan runs."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from benchmarks.generate import generate
from cluster.config.settings import Settings
from policies.registry import make_problem
from scheduler.solver import solve as engine
from scheduler.solver.kernels.kept import KeptCode

load, running, late = KeptCode.load_overload, [], []
class Watch(engine.Meter):
    def __init__(self, *args):
        running.append(True)
        super().__init__(*args)
def watched(kept, *args):
    if running[-1:]:
        late.append(kept.name.rsplit("-", 1)[0])
    return load(kept, *args)
engine.Meter, KeptCode.load_overload = Watch, watched
settings = Settings()
problem = make_problem(
    "balance", generate(40, 600, 1), limits=settings.limits, consolidate=settings.consolidate, level=5, max_moves=20
)
moved = engine.solve(problem, engine.Budget(work_limit=0.1)).placement
assert running and sum(moved[guest.id] != guest.host for guest in problem.snapshot.guests) == 20
print(late)
"""


def test_nothing_is_loaded_while_the_clock_runs() -> None:
    """In a new process a plan of few moves loads all compiled code that it needs before its time limit begins."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")
