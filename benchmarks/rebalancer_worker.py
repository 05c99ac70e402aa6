"""Solves one cluster with Meta's `rebalancer`; run by a Python that has the package, it imports nothing of ours.

Standard input: JSON with `hosts` {id: [millicores, MiB]}, `guests` {id: [host, millicores, MiB]}, `formula` (the number
of a BalanceSpecFormula), `swaps`, `stop_after_moves` (or null) and `solve_time_s`. The last line of standard output:
JSON with `hosts` {guest: host}, `wall_s` and `cpu_s` of `solve()` alone.
"""

import json
import sys
import time
from typing import Any


def solve(given: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one input."""
    from rebalancer import ProblemSolver  # type: ignore[import-not-found]  # of another Python's environment

    on: dict[str, list[str]] = {host: [] for host in given["hosts"]}
    for guest, (host, _, _) in given["guests"].items():
        on[host].append(guest)
    solver = ProblemSolver(service_name="benchmark", service_scope="balance")
    solver.set_object_name("guest").set_container_name("host").set_assignment(on)
    for index, name in enumerate(("cpu", "memory")):
        solver.add_object_dimension(name, {guest: float(one[1 + index]) for guest, one in given["guests"].items()})
        solver.add_container_dimension(name, {host: float(room[index]) for host, room in given["hosts"].items()})
        solver.add_constraint({"capacitySpec": {"name": f"{name} fits", "scope": "host", "dimension": name}})
        even = {"name": f"{name} even", "scope": "host", "dimension": name, "formula": given["formula"]}
        solver.add_goal({"balanceSpec": even}, 1.0)
    moves: list[dict[str, Any]] = [{"singleMoveTypeSpec": {}}]
    if given["swaps"]:
        moves.append({"swapMoveTypeSpec": {}})
    search: dict[str, Any] = {"moveTypeList": moves, "solveTime": given["solve_time_s"]}
    if given["stop_after_moves"] is not None:
        search["stopAfterMoves"] = given["stop_after_moves"]
    solver.add_solver({"localSearchSolverSpec": search})
    began_s, cpu_before_s = time.perf_counter(), time.process_time()
    answer = solver.solve()
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_before_s
    return {"hosts": answer["assignment"], "wall_s": wall_s, "cpu_s": cpu_s}


if __name__ == "__main__":
    print(json.dumps(solve(json.load(sys.stdin))))
