"""A cluster of hosts with NUMA nodes and guests on one or two of them, read from VMR2L's JSON (plain or gzipped).

The file's own figures of what is free are ignored. CPU is kept in thousandths of a core and memory in KiB, whole
numbers: what a guest needs is rounded up and what a node has is rounded down, so a rounding never makes room.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.integers import IntArray
from cluster.errors import InputError

FILE = "big2_cluster2.json.gz"


@dataclass(frozen=True, slots=True)
class NumaCluster:
    """H hosts, N NUMA nodes and G guests, counted from 0 in the file's order.

    Shapes: `host_of_node`, `cpu_millicores`, `memory_kib` [N]; `entries` [G] is 1 or 2, the nodes a guest needs;
    `guest_cpu_millicores`, `guest_memory_kib` [G, 2] its demand on each, 0 where it has no second entry; `initial`
    [G, 2] the node of each entry, -1 where there is none.
    """

    host_ids: tuple[str, ...]
    guest_ids: tuple[str, ...]
    host_of_node: IntArray
    cpu_millicores: IntArray
    memory_kib: IntArray
    entries: IntArray
    guest_cpu_millicores: IntArray
    guest_memory_kib: IntArray
    initial: IntArray


def read_instance(path: Path) -> NumaCluster:
    """Return the first cluster of a file. Raises `InputError` naming the file and the path inside it."""
    return _Reader(str(path)).cluster(_load(path))


def _load(path: Path) -> object:
    try:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if path.suffix == ".gz" else raw
        loaded: object = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give --data the folder it is in") from None
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None
    return loaded


class _Reader:
    """Takes a loaded file apart, naming the place of whatever is not as promised."""

    def __init__(self, name: str) -> None:
        self._name = name

    def cluster(self, loaded: object) -> NumaCluster:
        clusters = self._items(loaded, "", "cluster_list")
        if not clusters:
            raise self._refusal("cluster_list", "an empty list", "at least one cluster")
        where = "cluster_list[0]"
        hosts: dict[str, dict[int, int]] = {}
        nodes: list[tuple[int, int, int]] = []
        for at, host in self._each(clusters[0], where, "host_info"):
            name = self._new_name(host, at, "node_id", hosts)
            numbers: dict[int, int] = {}
            for inside, node in self._each(host, at, "numa"):
                number = self._amount(node, inside, "node")
                if number in numbers:
                    raise self._refusal(f"{inside}.node", str(number), "each node of a host once")
                numbers[number] = len(nodes)
                cpu = math.floor(1000 * self._number(node, inside, "total_cpu"))
                memory = math.floor(1024 * self._number(node, inside, "memory_huge_total_mb"))
                nodes.append((len(hosts), cpu, memory))
            hosts[name] = numbers
        guests: dict[str, list[tuple[int, int, int]]] = {}
        for at, guest in self._each(clusters[0], where, "vm_instance"):
            name = self._new_name(guest, at, "instance_id", guests)
            guests[name] = self._guest(guest, at, hosts)
        return _arrays(tuple(hosts), nodes, guests)

    def _guest(self, guest: object, at: str, hosts: dict[str, dict[int, int]]) -> list[tuple[int, int, int]]:
        """(node, CPU, memory) of each entry."""
        host = self._field(guest, at, "host_id")
        if not isinstance(host, str) or host not in hosts:
            raise self._refusal(f"{at}.host_id", repr(host), "a node_id of host_info")
        entries = []
        for inside, entry in self._each(guest, at, "numa"):
            number = self._amount(entry, inside, "node")
            if number not in hosts[host]:
                raise self._refusal(f"{inside}.node", str(number), f"a node of {host}: {sorted(hosts[host])}")
            cpu = math.ceil(1000 * self._number(entry, inside, "cpu"))
            entries.append((hosts[host][number], cpu, math.ceil(1024 * self._number(entry, inside, "mem_mb"))))
        if len(entries) not in (1, 2) or len({node for node, _, _ in entries}) < len(entries):
            raise self._refusal(f"{at}.numa", f"nodes {[node for node, _, _ in entries]}", "one node, or two different")
        return entries

    def _each(self, holder: object, at: str, key: str) -> Iterator[tuple[str, object]]:
        for i, one in enumerate(self._items(holder, at, key)):
            yield f"{at}.{key}[{i}]", one

    def _items(self, holder: object, at: str, key: str) -> list[object]:
        found = self._field(holder, at, key)
        if not isinstance(found, list):
            raise self._refusal(f"{at}.{key}".lstrip("."), type(found).__name__, "a list")
        return found

    def _field(self, holder: object, at: str, key: str) -> object:
        if not isinstance(holder, dict):
            raise self._refusal(at or "the file", type(holder).__name__, "an object")
        if key not in holder:
            raise self._refusal(f"{at}.{key}".lstrip("."), "nothing", "it is required")
        found: object = holder[key]
        return found

    def _new_name(self, holder: object, at: str, key: str, taken: Collection[str]) -> str:
        found = self._field(holder, at, key)
        if not isinstance(found, str) or found in taken:
            raise self._refusal(f"{at}.{key}", repr(found), "a name not used before")
        return found

    def _number(self, holder: object, at: str, key: str) -> float:
        found = self._field(holder, at, key)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 2**40:
            raise self._refusal(f"{at}.{key}", repr(found), "a number of 0 and more")
        return found

    def _amount(self, holder: object, at: str, key: str) -> int:
        found = self._number(holder, at, key)
        if found != int(found):
            raise self._refusal(f"{at}.{key}", repr(found), "a whole number")
        return int(found)

    def _refusal(self, at: str, found: str, allowed: str) -> InputError:
        return InputError(f"{self._name}: {at}: found {found}; allowed: {allowed}")


def _arrays(
    host_ids: tuple[str, ...], nodes: list[tuple[int, int, int]], guests: dict[str, list[tuple[int, int, int]]]
) -> NumaCluster:
    node = np.array(nodes, dtype=np.int64).reshape(-1, 3)
    entry = np.full((len(guests), 2, 3), (-1, 0, 0), dtype=np.int64)
    for i, entries in enumerate(guests.values()):
        entry[i, : len(entries)] = entries
    return NumaCluster(
        host_ids=host_ids,
        guest_ids=tuple(guests),
        host_of_node=node[:, 0],
        cpu_millicores=node[:, 1],
        memory_kib=node[:, 2],
        entries=np.array([len(entries) for entries in guests.values()], dtype=np.int64),
        guest_cpu_millicores=entry[:, :, 1],
        guest_memory_kib=entry[:, :, 2],
        initial=entry[:, :, 0],
    )
