"""A machine reassignment problem of the ROADEF/EURO challenge 2012, read from its model and assignment files.

The files hold whitespace-separated integers in the order the challenge's subject gives. A solution file has the form
of an assignment file: the machine of each process, counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.integers import IntArray, Integers
from cluster.errors import InputError


@dataclass(frozen=True, slots=True)
class Balance:
    """One balance objective: `weight` for each unit by which `target` x free `first` exceeds free `second`."""

    first: int
    second: int
    target: int
    weight: int


@dataclass(frozen=True, slots=True)
class Reassignment:
    """R resources, M machines, S services and P processes, all counted from 0; amounts are plain integers.

    Shapes: `transient`, `load_weight` [R]; `neighborhood`, `location` [M]; `capacity`, `safety` [M, R];
    `machine_move_cost` [M, M]; `spread_min` [S]; `dependencies` for each service those it depends on; `service`,
    `process_move_cost`, `initial` [P]; `requirement` [P, R].
    """

    name: str
    transient: npt.NDArray[np.bool_]
    load_weight: IntArray
    neighborhood: IntArray
    location: IntArray
    capacity: IntArray
    safety: IntArray
    machine_move_cost: IntArray
    spread_min: IntArray
    dependencies: tuple[tuple[int, ...], ...]
    service: IntArray
    requirement: IntArray
    process_move_cost: IntArray
    balances: tuple[Balance, ...]
    process_move_weight: int
    service_move_weight: int
    machine_move_weight: int
    initial: IntArray


def read_instance(model: Path, assignment: Path, name: str) -> Reassignment:
    """Return the problem of two files. Raises `InputError` naming file, line and field of what is malformed."""
    numbers = Integers.of_file(model)
    resources = numbers.one("number of resources", low=1)
    weights = numbers.rows(resources, 2, "transient and load weight of a resource")
    numbers.check(weights[:, 0], "transient of a resource", 1, -weights.size, 2)
    machines = numbers.one("number of machines", low=1)
    width = 2 + 2 * resources + machines
    machine = numbers.rows(machines, width, "neighborhood, location, capacities and move costs of a machine")
    numbers.check(
        machine[:, -machines:].diagonal(), "move cost to itself", 0, 2 + 2 * resources - machine.size, width + 1
    )
    services = numbers.one("number of services", low=1)
    spread_min, dependencies = _services(numbers, services)
    processes = numbers.one("number of processes", low=1)
    process = numbers.rows(processes, 2 + resources, "service, requirements and move cost of a process")
    numbers.check(process[:, 0], "service of a process", services - 1, -process.size, 2 + resources)
    balances = tuple(_balance(numbers, resources) for _ in range(numbers.one("number of balance objectives")))
    process_weight, service_weight, machine_weight = (
        numbers.one(f"weight of {what} moves") for what in ("process", "service", "machine")
    )
    numbers.end()
    return Reassignment(
        name=name,
        transient=weights[:, 0].astype(np.bool_),
        load_weight=weights[:, 1],
        neighborhood=machine[:, 0],
        location=machine[:, 1],
        capacity=machine[:, 2 : 2 + resources],
        safety=machine[:, 2 + resources : 2 + 2 * resources],
        machine_move_cost=machine[:, 2 + 2 * resources :],
        spread_min=spread_min,
        dependencies=dependencies,
        service=process[:, 0],
        requirement=process[:, 1 : 1 + resources],
        process_move_cost=process[:, 1 + resources],
        balances=balances,
        process_move_weight=process_weight,
        service_move_weight=service_weight,
        machine_move_weight=machine_weight,
        initial=read_assignment(assignment, processes, machines),
    )


def read_assignment(path: Path, processes: int, machines: int) -> IntArray:
    """Return the machine of each process from an assignment or solution file."""
    numbers = Integers.of_file(path)
    taken = numbers.take(processes, "machine of a process", high=machines - 1)
    numbers.end()
    return taken


def find_instance(folder: Path, name: str) -> Reassignment:
    """Return the problem `name` of a folder of the challenge, such as `a1_1` or `example`."""
    first = folder / f"assignment_{name}.txt"
    model = folder / f"model_{name}.txt"
    if not model.exists():
        known = ", ".join(instance_names(folder)) or "none"
        raise InputError(f"{folder}: no model_{name}.txt; instances there: {known}")
    return read_instance(model, first if first.exists() else folder / f"initial_solution_{name}.txt", name)


def instance_names(folder: Path) -> list[str]:
    """Names of the problems of a folder, sorted, the challenge's worked example left out."""
    names = (path.stem.removeprefix("model_") for path in folder.glob("model_*.txt"))
    return sorted(name for name in names if name != "example")


def _services(numbers: Integers, services: int) -> tuple[IntArray, tuple[tuple[int, ...], ...]]:
    spread_min, dependencies = np.zeros(services, dtype=np.int64), []
    for service in range(services):
        spread_min[service], count = numbers.take(2, f"spread and dependencies of service {service}")
        needs = numbers.take(int(count), f"dependency of service {service}", high=services - 1)
        dependencies.append(tuple(needs.tolist()))
    return spread_min, tuple(dependencies)


def _balance(numbers: Integers, resources: int) -> Balance:
    first, second = numbers.take(2, "resource of a balance objective", high=resources - 1).tolist()
    target, weight = numbers.take(2, "target and weight of a balance objective").tolist()
    return Balance(first, second, target, weight)
