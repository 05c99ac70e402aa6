"""How long solving takes and how good it is, over sizes and policies: `python -m benchmarks.plan_latency 20x200`.

Prints one line per problem: seconds to make and to solve, status, second tier before, after and bound, gap, moves, GiB.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.generate import generate
from policies.registry import POLICIES, make_problem
from scheduler.solver.solve import Budget, solve


def main() -> None:
    """Solve every combination asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["20x200", "100x1000"])
    parser.add_argument("--policy", action="append", choices=sorted(POLICIES))
    parser.add_argument("--level", type=int, default=3)
    parser.add_argument("--max-moves", type=int)
    parser.add_argument("--time-limit", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", type=int, default=0)
    parser.add_argument("--fill", type=float, default=0.55)
    options = parser.parse_args()
    print(f"{'size':>10} {'policy':>12} {'make':>6} {'solve':>6} {'status':>13}  why")
    for size in options.sizes:
        hosts, guests = (int(part) for part in size.split("x"))
        snapshot = generate(hosts, guests, options.seed, fill=options.fill, rules=options.rules)
        for policy in options.policy or sorted(POLICIES):
            start = time.perf_counter()
            problem = make_problem(
                policy,
                snapshot,
                level=options.level,
                max_moves=options.max_moves,
                drained=(snapshot.hosts[0].id,) if policy == "drain" else (),
            )
            made = time.perf_counter()
            budget = Budget(time_limit_s=options.time_limit, workers=options.workers, seed=options.seed)
            proposal = solve(problem, budget)
            done = time.perf_counter()
            print(
                f"{size:>10} {policy:>12} {made - start:6.3f} {done - made:6.3f} {proposal.status:>13}  {proposal.why}"
            )
            for value in proposal.values:
                figures = f"{value.before:.6g} -> {value.after:.6g}, bound {value.bound:.6g}, gap {value.gap:.4g}"
                print(f"{'':>40} {value.tier}: {figures}")


if __name__ == "__main__":
    main()
