"""A clock that tests move and a collector that says what a test tells it to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster.errors import HostUnreachableError
from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.report import HostUsage, Observation

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


class FakeClock:
    """Time stands until somebody sleeps or a test moves it."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        return 1000.0 + self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += max(0.0, seconds)


class FakeCollector:
    """Says the CPU figures it is told, by guest, and fails while `broken`."""

    def __init__(self, clock: FakeClock, host: str = "kvm-1") -> None:
        self._clock = clock
        self._host = host
        self.cpu: dict[str, int | None] = {"a": 100}
        self.usage = HostUsage()
        self.broken = False
        self.takes_s = 0.0
        self.looks = 0
        self.closed = False

    @property
    def host(self) -> str:
        return self._host

    def collect(self) -> Observation:
        self.looks += 1
        self._clock.sleep(self.takes_s)
        if self.broken:
            raise HostUnreachableError(f"host {self._host}: libvirt does not answer")
        guests = tuple(
            Guest(id=one, host=self._host, vcpus=1, memory_mib=512, usage=Usage(cpu_millicores=cpu, memory_mib=256))
            for one, cpu in sorted(self.cpu.items())
        )
        host = Host(self._host, cpu_millicores=8000, memory_mib=16384, measured_at=self._clock.now())
        return Observation(self._clock.now(), host, self.usage, guests)

    def close(self) -> None:
        self.closed = True
