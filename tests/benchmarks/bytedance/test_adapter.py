"""The engine's form of a NUMA cluster has the cluster's slots, migrations and rules, whatever the seats."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bytedance.adapter import to_instance
from benchmarks.bytedance.evaluate import broken, free_slots, migrations
from benchmarks.bytedance.instance import NumaCluster
from cluster.errors import InputError
from scheduler.solver.evaluate import evaluate, why_not_valid


def drawn(seed: int, uneven: bool) -> NumaCluster:
    """A random small cluster that keeps its rules; nodes in no order, guests of one entry or two."""
    dice = Random(seed)
    hosts = dice.randint(1, 3)
    host_of_node = [host for host in range(hosts) for _ in range(2)]
    dice.shuffle(host_of_node)
    cpu, memory = ([dice.choice((32, 44, 48)) for _ in host_of_node] for _ in range(2))
    free = [cpu.copy(), memory.copy()]
    entries, demand, initial = [], [], []
    for _ in range(dice.randint(0, 7)):
        host = dice.randrange(hosts)
        nodes = [node for node, one in enumerate(host_of_node) if one == host]
        dice.shuffle(nodes)
        nodes = nodes[: dice.randint(1, 2)]
        takes = [(dice.choice((2, 4, 8, 16)), dice.choice((2, 4, 8, 16))) for _ in nodes]
        takes = takes if uneven else [takes[0]] * len(nodes)
        if all(free[r][node] >= take[r] for node, take in zip(nodes, takes, strict=True) for r in (0, 1)):
            for node, take in zip(nodes, takes, strict=True):
                for r in (0, 1):
                    free[r][node] -= take[r]
            entries.append(len(nodes))
            demand.append([*takes, (0, 0)][:2])
            initial.append([*nodes, -1][:2])
    shaped = np.array(demand, dtype=np.int64).reshape(-1, 2, 2) * 1000
    return NumaCluster(
        host_ids=tuple(f"h{host}" for host in range(hosts)),
        guest_ids=tuple(f"g{guest}" for guest in range(len(entries))),
        host_of_node=np.array(host_of_node),
        cpu_millicores=np.array(cpu) * 1000,
        memory_kib=np.array(memory) * 1000,
        entries=np.array(entries, dtype=np.int64),
        guest_cpu_millicores=shaped[:, :, 0],
        guest_memory_kib=shaped[:, :, 1],
        initial=np.array(initial, dtype=np.int64).reshape(-1, 2),
    )


@given(st.integers(0, 2**32), st.booleans(), st.data())
def test_slots_migrations_and_rules_are_the_clusters(seed: int, uneven: bool, data: st.DataObject) -> None:
    """For any seats: as many slots, as many migrations, and valid exactly when no rule is broken."""
    cluster = drawn(seed, uneven)
    case = to_instance(cluster, max_migrations=None)
    instance, place = case.instance, case.instance.home.copy()
    for guest in range(len(place)):
        if data.draw(st.booleans()):
            mode = data.draw(st.sampled_from(np.flatnonzero(instance.usable[guest]).tolist()))
            place[guest] = data.draw(st.integers(0, instance.hosts - 1)) * instance.modes + mode
    placement = case.to_placement(place)
    value = evaluate(instance, place)
    assert value.goal == -free_slots(cluster, placement)
    assert value.moves == migrations(cluster, placement)
    assert (why_not_valid(instance, place) is None) == (broken(cluster, placement) is None)


@given(st.integers(0, 2**32), st.booleans())
def test_the_start_comes_back_as_no_migration(seed: int, uneven: bool) -> None:
    """Home seats are the cluster's own nodes, and every guest's home is a mode it has."""
    cluster = drawn(seed, uneven)
    case = to_instance(cluster, max_migrations=3)
    home = case.instance.home
    assert migrations(cluster, case.to_placement(home)) == 0
    assert broken(cluster, case.to_placement(home)) is None
    assert case.instance.usable[np.arange(len(home)), home % case.instance.modes].all()
    assert case.instance.max_moves == min(3, len(home))


def test_the_order_of_a_pair_is_a_mode_only_where_entries_differ() -> None:
    """Symmetric guests leave three modes on two nodes; one uneven guest makes a fourth, for itself alone."""
    assert to_instance(drawn(11, False), None).modes == ((0,), (1,), (0, 1))
    cluster = next(one for one in (drawn(seed, True) for seed in range(100)) if _has_uneven(one))
    case = to_instance(cluster, None)
    assert case.modes == ((0,), (1,), (0, 1), (1, 0))
    differ = (cluster.guest_cpu_millicores[:, 0] != cluster.guest_cpu_millicores[:, 1]) | (
        cluster.guest_memory_kib[:, 0] != cluster.guest_memory_kib[:, 1]
    )
    assert (case.instance.usable[:, 3] == (differ & (cluster.entries == 2))).all()


def _has_uneven(cluster: NumaCluster) -> bool:
    two = cluster.entries == 2
    return bool((cluster.guest_cpu_millicores[two, 0] != cluster.guest_cpu_millicores[two, 1]).any())


def test_hosts_with_different_numbers_of_nodes_are_refused() -> None:
    """Modes are the same on every host, so hosts must be alike in nodes."""
    cluster = drawn(1, False)
    one_more = NumaCluster(
        host_ids=(*cluster.host_ids, "more"),
        guest_ids=cluster.guest_ids,
        host_of_node=np.append(cluster.host_of_node, len(cluster.host_ids)),
        cpu_millicores=np.append(cluster.cpu_millicores, 1000),
        memory_kib=np.append(cluster.memory_kib, 1000),
        entries=cluster.entries,
        guest_cpu_millicores=cluster.guest_cpu_millicores,
        guest_memory_kib=cluster.guest_memory_kib,
        initial=cluster.initial,
    )
    try:
        to_instance(one_more, None)
    except InputError as refused:
        assert str(refused) == "hosts with 1 to 2 nodes; allowed: the same number on each"
    else:
        pytest.fail("a cluster of unlike hosts was taken")
