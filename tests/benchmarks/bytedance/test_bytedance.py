"""A NUMA cluster is read whole or refused; slots, migrations and every rule are evaluated."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bytedance.evaluate import broken, free_slots, migrations
from benchmarks.bytedance.instance import FILE, NumaCluster, read_instance
from benchmarks.integers import IntArray
from cluster.errors import InputError
from tests.benchmarks.data import data_folder


def node(number: int, cpu: float = 40, memory: float = 100) -> dict[str, Any]:
    """A NUMA node; its own free figures are wrong on purpose."""
    return {"node": number, "total_cpu": cpu, "free_cpu": 1, "memory_huge_total_mb": memory}


def guest(name: str, host: str, *entries: tuple[int, float, float]) -> dict[str, Any]:
    """A guest with (node, cpu, memory) for each entry."""
    numa = [{"node": number, "cpu": cpu, "mem_mb": memory} for number, cpu, memory in entries]
    return {"instance_id": name, "host_id": host, "numa": numa}


CLUSTER = {
    "cluster_list": [
        {
            "host_info": [
                {"node_id": "h0", "numa": [node(0), node(1)]},
                {"node_id": "h1", "numa": [node(1), node(0, cpu=33.5)]},
            ],
            "vm_instance": [
                guest("small", "h0", (0, 8, 10)),
                guest("wide", "h0", (0, 16, 50), (1, 16, 50)),
                guest("uneven", "h1", (0, 1.5, 30), (1, 4, 60)),
            ],
        }
    ]
}


def write(folder: Path, content: object) -> Path:
    """Write a gzipped file."""
    path = folder / "cluster.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


@pytest.fixture
def cluster(tmp_path: Path) -> NumaCluster:
    """The cluster above, read: nodes 0 and 1 are h0's, 2 is h1's node 1 and 3 its node 0."""
    return read_instance(write(tmp_path, CLUSTER))


def at(*nodes: tuple[int, int]) -> IntArray:
    """A placement."""
    return np.array(nodes, dtype=np.int64)


def test_nodes_and_entries_keep_their_own_order(cluster: NumaCluster) -> None:
    """A node's number in the file is a name, not its place; amounts are whole thousandths and KiB."""
    assert cluster.host_of_node.tolist() == [0, 0, 1, 1]
    assert cluster.cpu_millicores.tolist() == [40_000, 40_000, 40_000, 33_500]
    assert cluster.memory_kib.tolist() == [102_400] * 4
    assert cluster.initial.tolist() == [[0, -1], [0, 1], [3, 2]]
    assert cluster.guest_cpu_millicores.tolist() == [[8_000, 0], [16_000, 16_000], [1_500, 4_000]]
    assert cluster.entries.tolist() == [1, 2, 2]


def test_free_slots_come_from_demands_not_from_the_files_free_figures(cluster: NumaCluster) -> None:
    """Free 16, 24, 36 and 32 cores hold 1, 1, 2 and 2 slots of 16."""
    assert free_slots(cluster, cluster.initial) == 6
    assert free_slots(cluster, at((1, -1), (0, 1), (3, 2))) == 1 + 1 + 2 + 2
    assert free_slots(cluster, at((2, -1), (0, 1), (3, 2))) == 1 + 1 + 1 + 2
    assert broken(cluster, cluster.initial) is None


def test_a_change_of_host_or_nodes_is_one_migration(cluster: NumaCluster) -> None:
    """Two equal entries that trade nodes are the same placement; unequal ones are not."""
    assert migrations(cluster, cluster.initial) == 0
    assert migrations(cluster, at((1, -1), (0, 1), (3, 2))) == 1
    assert migrations(cluster, at((0, -1), (1, 0), (3, 2))) == 0
    assert migrations(cluster, at((0, -1), (0, 1), (2, 3))) == 1
    assert migrations(cluster, at((3, -1), (2, 3), (0, 1))) == 3


@pytest.mark.parametrize(
    ("placement", "says"),
    [
        (at((0, -1), (0, 1)), "shape: found (2, 2)"),
        (at((4, -1), (0, 1), (3, 2)), "nodes of small: found [4, -1]; allowed: 0 to 3"),
        (at((0, 1), (0, 1), (3, 2)), "nodes of small: found [0, 1]"),
        (at((0, -1), (0, -1), (3, 2)), "nodes of wide: found [0, -1]"),
        (at((0, -1), (0, 2), (3, 2)), "nodes of wide: found [0, 2]; allowed: two of one host"),
        (at((0, -1), (0, 0), (3, 2)), "nodes of wide: found [0, 0]; allowed: two of one host"),
        (at((0, -1), (2, 3), (3, 2)), "memory (KiB) of node 2 (on h1): found 112640; allowed: 102400"),
    ],
)
def test_what_a_placement_breaks_is_said_in_one_line(cluster: NumaCluster, placement: IntArray, says: str) -> None:
    """Each rule has a placement that breaks it."""
    found = broken(cluster, placement)
    assert found is not None and found.startswith(says) and "\n" not in found


def test_cpu_is_a_rule_of_its_own(tmp_path: Path) -> None:
    """A node short of CPU breaks a rule with all its memory free, and has no slot to offer."""
    content = copy.deepcopy(CLUSTER)
    content["cluster_list"][0]["vm_instance"][0]["numa"][0]["cpu"] = 30
    cluster = read_instance(write(tmp_path, content))
    assert broken(cluster, cluster.initial) == "CPU (millicores) of node 0 (on h0): found 46000; allowed: 40000"
    assert free_slots(cluster, cluster.initial) == 0 + 1 + 2 + 2


def _set(*path: str | int, value: object) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


CLUSTER_0 = ("cluster_list", 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("cluster_list", value=[]), "cluster_list: found an empty list"),
        (_set("cluster_list", value={}), "cluster_list: found dict; allowed: a list"),
        (_set(*CLUSTER_0, "host_info", 0, "numa", 1, "node", value=0), "host_info[0].numa[1].node: found 0"),
        (_set(*CLUSTER_0, "host_info", 1, "node_id", value="h0"), "host_info[1].node_id: found 'h0'"),
        (_set(*CLUSTER_0, "host_info", 0, "numa", 0, "total_cpu", value="4"), "numa[0].total_cpu: found '4'"),
        (_set(*CLUSTER_0, "vm_instance", 1, "host_id", value="h7"), "vm_instance[1].host_id: found 'h7'"),
        (_set(*CLUSTER_0, "vm_instance", 1, "numa", 1, "node", value=2), "vm_instance[1].numa[1].node: found 2"),
        (_set(*CLUSTER_0, "vm_instance", 1, "numa", 1, "node", value=0), "vm_instance[1].numa: found nodes [0, 0]"),
        (_set(*CLUSTER_0, "vm_instance", 0, "numa", value=[]), "vm_instance[0].numa: found nodes []"),
        (_set(*CLUSTER_0, "vm_instance", 0, "numa", 0, value={"node": 0}), "numa[0].cpu: found nothing"),
        (_set(*CLUSTER_0, "vm_instance", 0, "numa", 0, "mem_mb", value=-1), "numa[0].mem_mb: found -1"),
    ],
)
def test_a_malformed_file_is_refused_by_its_path(tmp_path: Path, change: Callable[[Any], None], says: str) -> None:
    """The refusal is one line with the file, the path inside it, what was found and what is allowed."""
    content = copy.deepcopy(CLUSTER)
    change(content)
    with pytest.raises(InputError) as refused:
        read_instance(write(tmp_path, content))
    assert says in str(refused.value) and "cluster.json.gz" in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    """Neither a missing file, nor a broken archive, nor broken text is half-read."""
    for name, content in (("broken.json.gz", b"no gzip"), ("broken.json", b"{")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as JSON"):
            read_instance(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        read_instance(tmp_path / "absent.json")


def test_the_public_cluster_has_the_published_slots() -> None:
    """824 hosts, 4042 guests, 226 free slots, no rule broken."""
    cluster = read_instance(data_folder("vmr2l") / FILE)
    assert (len(cluster.host_ids), len(cluster.guest_ids)) == (824, 4042)
    assert free_slots(cluster, cluster.initial) == 226
    assert broken(cluster, cluster.initial) is None
