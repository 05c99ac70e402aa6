"""Fixtures of the tests that run all of Trimtab on the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.lab.bmc import Bmcs, emulators_missing
from tests.lab.cluster_under_test import ClusterUnderTest, Doubles
from tests.lab.lab import Lab
from tests.lab.nights import cluster_with_bmcs
from tests.lab.redis import LabRedis

MakeCluster = Callable[..., ClusterUnderTest]


@pytest.fixture
def make_cluster(lab: Lab, lab_redis: LabRedis) -> Iterator[MakeCluster]:
    """Makes a `ClusterUnderTest` on the lab and watches all through the test that no guest runs twice."""
    made: list[ClusterUnderTest] = []
    with ExitStack() as stack:
        doubles = stack.enter_context(Doubles(lab))

        def make(**parts: Any) -> ClusterUnderTest:
            made.append(stack.enter_context(ClusterUnderTest(lab, lab_redis, **parts)))
            return made[-1]

        yield make
        print("\n".join(cluster.said() for cluster in made))
    assert not doubles.found
    assert doubles.looks > 0


@pytest.fixture
def bmc_cluster(lab: Lab, lab_redis: LabRedis) -> Iterator[tuple[ClusterUnderTest, Bmcs]]:
    """A `ClusterUnderTest` whose hosts are behind BMCs, watched all through that no guest runs twice."""
    if (missing := emulators_missing()) is not None:
        pytest.skip(missing)
    with Doubles(lab) as doubles, cluster_with_bmcs(lab, lab_redis) as (cluster, bmcs):
        yield cluster, bmcs
        print(cluster.said())
    assert not doubles.found
    assert doubles.looks > 0
