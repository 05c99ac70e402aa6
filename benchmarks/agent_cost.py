"""What an agent costs its host: share of one core and resident memory, measured while it runs as `trimtab agent` does.

    python -m benchmarks.agent_cost --seconds 60                        libvirt's test driver, one guest
    python -m benchmarks.agent_cost --uri qemu:///system --seconds 300  the guests of this machine
    python -m benchmarks.agent_cost --lab 9                             real guests on a lab host (root)

The agent is a process of its own that pushes to a private Redis, so that only its own cost is counted. The promise is
under 1 % of one core and under 70 MiB; the exit status is 1 when it is not kept. CPU counts from the second look on:
the first reads every definition.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_CPU_RATIO = 0.01
MOST_RSS_MIB = 70.0

_AGENT = """\
import sys, threading
from pathlib import Path
from cluster.clock import SystemClock
from cluster.config.loader import load_settings
from cluster.store.open import open_store
from collectors.agent import run_agent
from collectors.registry import make_collector

clock = SystemClock()
settings = load_settings(Path(sys.argv[1])).settings
host = settings.hosts[0]
run_agent(settings, host.id, make_collector(settings, host, clock),
          lambda: open_store(settings.store, clock), clock, threading.Event(), print)
"""

_CONFIGURATION = """\
[collect]
source = "agents"
interval_s = {interval_s}
host_load = "{host_load}"

[store]
url = "{store}"

[[hosts]]
id = "measured"
uri = "{uri}"
"""


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Return the most resident memory a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no VmHWM")


@contextmanager
def private_redis(directory: Path) -> Iterator[str]:
    """Run a Redis on a Unix socket and give its URL."""
    socket = directory / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(directory), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        while not socket.exists():
            time.sleep(0.02)
        yield f"unix://{socket}"
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def measured_host(uri: str, lab_guests: int) -> Iterator[str]:
    """Give the URI to measure at: the one asked for, or a lab host with so many guests."""
    if not lab_guests:
        yield uri
        return
    from tests.lab import Lab

    with Lab(hosts=1).start(wait_for_lock_s=300) as lab:
        for number in range(lab_guests):
            lab.guest(f"guest-{number}", "lab-1", cpu_millicores=20, labels={"app": "web"})
        yield lab.hosts[0].uri


def measure(uri: str, seconds: float, interval_s: float, lab_guests: int) -> tuple[float, float]:
    """Return the share of one core and the resident memory in MiB of an agent over so many seconds."""
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-cost-") as name,
        private_redis(Path(name)) as store,
        measured_host(uri, lab_guests) as host,
    ):
        load = "guests" if lab_guests else "system"
        file = Path(name) / "trimtab.toml"
        file.write_text(_CONFIGURATION.format(uri=host, store=store, interval_s=interval_s, host_load=load))
        agent = subprocess.Popen([sys.executable, "-c", _AGENT, str(file)])
        try:
            time.sleep(interval_s + 5)
            before_s, began_s = cpu_s(agent.pid), time.monotonic()
            time.sleep(seconds)
            return (cpu_s(agent.pid) - before_s) / (time.monotonic() - began_s), rss_mib(agent.pid)
        finally:
            agent.terminate()
            agent.wait(10)


def main() -> int:
    """Measure and print; 1 when the agent costs more than promised."""
    parser = argparse.ArgumentParser(description="Measure what an agent costs its host.")
    parser.add_argument("--uri", default="test:///default", help="libvirt URI to look at (default: %(default)s)")
    parser.add_argument("--lab", type=int, default=0, metavar="GUESTS", help="a lab host with so many real guests")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure (default: %(default)g)")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between looks (default: %(default)g)")
    chosen = parser.parse_args()
    cpu_ratio, memory_mib = measure(chosen.uri, chosen.seconds, chosen.interval, chosen.lab)
    kept = cpu_ratio < MOST_CPU_RATIO and memory_mib < MOST_RSS_MIB
    print(f"agent: {cpu_ratio:.2%} of one core, {memory_mib:.1f} MiB resident", "" if kept else "(over the promise)")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
