"""What a reassignment costs and which rule it breaks, by the subject alone, sharing nothing with the engine.

    python -m benchmarks.roadef.evaluate --data DIR a1_1                  the given assignment
    python -m benchmarks.roadef.evaluate --data DIR a1_1 solution.txt     a solution file

Exit status 1 when a rule is broken. Costs are exact: sums fit 64 bits (see `integers`), products are Python's integers.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data_folder import add_data_option, family_folder, run_command
from benchmarks.integers import IntArray
from benchmarks.roadef.instance import Reassignment, find_instance, read_assignment


@dataclass(frozen=True, slots=True)
class Cost:
    """The parts of the cost, each times its weight."""

    load: int
    balance: int
    process_moves: int
    service_moves: int
    machine_moves: int

    @property
    def total(self) -> int:
        """What the challenge minimises."""
        return self.load + self.balance + self.process_moves + self.service_moves + self.machine_moves


def cost(instance: Reassignment, placement: IntArray) -> Cost:
    """Return the cost of a placement [P] of machine indices, feasible or not."""
    used = _use(instance, placement, np.ones(len(placement), dtype=np.bool_))
    over = np.maximum(0, used - instance.safety).sum(axis=0).tolist()
    free = instance.capacity - used
    moved = placement != instance.initial
    balance = 0
    for one in instance.balances:
        pairs = zip(free[:, one.first].tolist(), free[:, one.second].tolist(), strict=True)
        balance += one.weight * sum(max(0, one.target * first - second) for first, second in pairs)
    moves_of_service = np.bincount(instance.service[moved], minlength=1)
    return Cost(
        load=sum(weight * excess for weight, excess in zip(instance.load_weight.tolist(), over, strict=True)),
        balance=balance,
        process_moves=instance.process_move_weight * int(instance.process_move_cost[moved].sum()),
        service_moves=instance.service_move_weight * int(moves_of_service.max()),
        machine_moves=instance.machine_move_weight * int(instance.machine_move_cost[instance.initial, placement].sum()),
    )


def broken(instance: Reassignment, placement: IntArray) -> str | None:
    """Return in one line the first rule that a placement breaks, or `None` when it keeps them all."""
    machines = len(instance.capacity)
    if placement.shape != instance.initial.shape:
        return f"length: found {placement.size} machines; allowed: one for each of {instance.initial.size} processes"
    if bool(((placement < 0) | (placement >= machines)).any()):
        process = int(np.flatnonzero((placement < 0) | (placement >= machines))[0])
        return f"machine of process {process}: found {placement[process]}; allowed: 0 to {machines - 1}"
    for breach in (_capacity(instance, placement), _groups(instance, placement)):
        first = next(breach, None)
        if first is not None:
            return first
    return None


def _use(instance: Reassignment, placement: IntArray, which: np.typing.NDArray[np.bool_]) -> IntArray:
    """Use [M, R] of the processes chosen."""
    used = np.zeros_like(instance.capacity)
    np.add.at(used, placement[which], instance.requirement[which])
    return used


def _capacity(instance: Reassignment, placement: IntArray) -> Iterator[str]:
    """Capacity after the moves, and during them for resources counted at both ends."""
    after = _use(instance, placement, np.ones(len(placement), dtype=np.bool_))
    during = after + _use(instance, instance.initial, placement != instance.initial) * instance.transient
    for when, used in (("after", after), ("during", during)):
        for machine, resource in np.argwhere(used > instance.capacity).tolist():
            found, most = used[machine, resource], instance.capacity[machine, resource]
            yield f"capacity {when} the moves: machine {machine}, resource {resource}: found {found}; allowed: {most}"


def _groups(instance: Reassignment, placement: IntArray) -> Iterator[str]:
    """Conflict, spread and dependency, service by service."""
    machines_of: defaultdict[int, list[int]] = defaultdict(list)
    for service, machine in zip(instance.service.tolist(), placement.tolist(), strict=True):
        machines_of[service].append(machine)
    neighborhoods = {
        service: set(instance.neighborhood[machines].tolist()) for service, machines in machines_of.items()
    }
    for service, machines in sorted(machines_of.items()):
        if len(set(machines)) < len(machines):
            twice = next(one for one in machines if machines.count(one) > 1)
            yield f"conflict: service {service} has {machines.count(twice)} processes on machine {twice}; allowed: 1"
    for service, least in enumerate(instance.spread_min.tolist()):
        locations = len(set(instance.location[machines_of.get(service, [])].tolist()))
        if locations < least:
            yield f"spread: service {service} is at {locations} locations; allowed: {least} and more"
    for service, needs in enumerate(instance.dependencies):
        for need in needs:
            alone = neighborhoods.get(service, set()) - neighborhoods.get(need, set())
            if alone:
                yield f"dependency: service {service} is in neighborhood {min(alone)}, service {need} is not"


def _command() -> int:
    parser = argparse.ArgumentParser(description="Cost and broken rules of a reassignment.")
    add_data_option(parser)
    parser.add_argument("name", help="instance, such as a1_1, or example")
    parser.add_argument("solution", type=Path, nargs="?", help="solution file (default: the given assignment)")
    chosen = parser.parse_args()
    instance = find_instance(family_folder(chosen.data, "roadef2012"), chosen.name)
    placement = instance.initial
    if chosen.solution is not None:
        placement = read_assignment(chosen.solution, len(instance.initial), len(instance.capacity))
    found, breach = cost(instance, placement), broken(instance, placement)
    print(f"{chosen.name}: cost {found.total} ({found})")
    print(breach or "every rule is kept")
    return 0 if breach is None else 1


if __name__ == "__main__":
    run_command(_command)
