"""What the lab's nights share: three hosts behind BMCs, settings for a night of minutes, and eyes on it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from cluster.history import SLOT_S, Metric
from cluster.store.protocol import Sample, Store
from tests.lab.bmc import IPMI, REDFISH, Bmcs
from tests.lab.cluster_under_test import ClusterUnderTest
from tests.lab.guests import LabGuest
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab
from tests.lab.redis import LabRedis

KINDS = {"lab-1": REDFISH, "lab-2": REDFISH, "lab-3": IPMI}
CPU_LIMIT = 0.8
HOST_MILLICORES = 800
DAYS = 3
POWER = {"controllable": True, "watts": [[0, 100], [1, 200]], "sleep_watts": 5, "wake_s": 5, "sleep_s": 3}

NIGHTLY: dict[str, dict[str, Any]] = {
    "limits": {"cpu": CPU_LIMIT},
    "migration": {"cpu_overhead_millicores": 10},
    # Hosts fill up to 40 % at night, and others wake before 56 %.
    "consolidate": {
        "horizon_s": 3600.0,
        "headroom_ratio": 0.5,
        "wake_headroom_ratio": 0.3,
        "reserve_hosts": 0,
        "host_losses": 0,
        "least_on_s": 15.0,
        "least_off_s": 5.0,
        "spread_s": 5.0,
        "cycles_per_day": 24,
    },
    "power": {
        "deadline_s": 2.0,
        "retries": 0,
        "look_s": 1.0,
        "sleep_timeout_s": 6.0,
        "wake_timeout_s": 12.0,
        "agent_timeout_s": 3.0,
        "wake_tests_per_night": 0,
    },
}


def night(minutes: int = 120) -> dict[str, Any]:
    """A night window that is open now, and for so many minutes at least."""
    now = datetime.now(UTC)
    ends = now + timedelta(minutes=minutes + 1)
    return {"kind": "night", "from": f"{now:%H:%M}", "to": f"{ends:%H:%M}", "time_zone": "UTC"}


def remember(store: Store, guests: Iterable[LabGuest], millicores: int) -> None:
    """Give the store the days that agents would have reported: guests that used so much all the time.

    Also in the present slot, in which their own starting is the greater part otherwise.
    """
    now = datetime.now(UTC)
    past = [now - timedelta(seconds=SLOT_S * number) for number in range(DAYS * 86400 // SLOT_S, 0, -1)]
    times = [*past, *(now for _ in range(SLOT_S))]
    store.record_samples(
        [Sample(guest.uuid, Metric.CPU_MILLICORES, at, millicores) for guest in guests for at in times]
    )


@contextmanager
def cluster_with_bmcs(lab: Lab, redis: LabRedis) -> Iterator[tuple[ClusterUnderTest, Bmcs]]:
    """Trimtab on the lab, each host behind its BMC; a host that boots starts its agent."""
    made: list[ClusterUnderTest] = []

    def boots(host: LabHost) -> None:
        made[0].start_agent(host)

    with Bmcs(lab, KINDS, boots) as bmcs:
        entries = {
            name: {"bmc": bmcs.of(name).entry(), "power": POWER, "cpu_millicores": HOST_MILLICORES} for name in KINDS
        }
        with ClusterUnderTest(lab, redis, NIGHTLY, entries=entries) as cluster:
            made.append(cluster)
            yield cluster, bmcs


def power(cluster: ClusterUnderTest) -> dict[str, str]:
    """The power state that plans go by, of each host, as the daemon last said."""
    return {str(host["id"]): str(host["power"]) for host in cluster.status().get("hosts", ())}


class Busiest:
    """Watches how full hosts are by the agents' reports: `cpu_ratio` of the fullest ever, where, and all load now."""

    def __init__(self, cluster: ClusterUnderTest) -> None:
        self._cluster = cluster
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="busiest", daemon=True)
        self.cpu_ratio = 0.0
        self.where = ""
        self.millicores = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(20)

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            used = {
                name: sum(guest.usage.cpu_millicores or 0 for guest in report.observation.guests)
                for name, report in self._cluster.reports().items()
            }
            self.millicores = sum(used.values())
            fullest = max(used, key=lambda name: used[name])
            if used[fullest] / HOST_MILLICORES > self.cpu_ratio:
                self.cpu_ratio = used[fullest] / HOST_MILLICORES
                self.where = f"{fullest} at {datetime.now(UTC):%H:%M:%S}"
