"""Trimtab at work on the lab: its configuration, an agent in each host, the daemon, and what can be read of them.

Everything runs as a person would start it: `trimtab VERB` processes that know each other only through Redis.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from cluster.clock import SystemClock
from cluster.config.settings import StoreSettings
from cluster.plan import JournalEntry, PlanRecord, PlanState
from cluster.report import Report
from cluster.store.open import open_store
from cluster.store.protocol import Store
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab
from tests.lab.processes import LabError, end_process, wait_until
from tests.lab.redis import LabRedis

ROOT = Path(__file__).resolve().parents[2]
TRIMTAB = [sys.executable, "-c", "import sys; from scheduler.cli import main; sys.exit(main())"]
HOST_CPU_MILLICORES = 4000
HOST_MEMORY_MIB = 4096
INTERVAL_S = 1.0
VERB_S = 90

Toml = Mapping[str, Any]
Listener = Callable[[str], None]


def ignore(_line: str) -> None:
    """Say nothing of a line."""


def quick_settings(lab: Lab, url: str) -> dict[str, dict[str, Any]]:
    """Return sections of a configuration that acts within seconds and looks often, on hosts of a lab."""
    return {
        "scheduler": {
            "mode": "act",
            "level": 4,
            "interval_s": INTERVAL_S,
            "time_limit_s": 1.0,
            "lease_s": 4.0,
            "plan_expires_s": 300.0,
        },
        "gate": {
            "quiet_start_s": 0.0,
            # Long enough for the smoothed figures to settle, short enough not to be what makes the cluster rest.
            "guest_cooldown_s": 4.0,
            "least_gain_ratio": 0.05,
            "stale_hosts_ratio": 0.5,
            "kill_switch": str(lab.directory / "stop"),
        },
        "store": {"url": url, "timeout_s": 2.0},
        "collect": {
            "source": "agents",
            "interval_s": 1.0,
            "deadline_s": 3.0,
            "stale_s": 8.0,
            "report_ttl_s": 600.0,
            "smoothing_s": 5.0,
            "host_load": "guests",
            "dirty_rate_every_s": 600.0,
        },
        "migration": {"mbit_s": 420.0, "out_per_host": 2, "in_per_host": 2, "per_cluster": 3, "timeout_s": 60.0},
        "guests": {"overhead_mib": 64},
        "reserve": {"memory_mib": 256, "memory_ratio": 0.0},
    }


class ClusterUnderTest:
    """One configuration on the lab's hosts. `changes` are laid over `quick_settings`, section by section.

    `entries` are further keys of hosts' entries. What it starts ends with it, and with the lab.
    """

    def __init__(
        self,
        lab: Lab,
        redis: LabRedis,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        rules: Iterable[dict[str, Any]] = (),
        listener: Listener = ignore,
        entries: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        import libvirt

        # A guest that has left a host is looked for there, too: no line on stderr for each.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        self.lab = lab
        self.redis = redis
        self._daemon: subprocess.Popen[Any] | None = None
        self._agents: dict[str, subprocess.Popen[Any]] = {}
        self._readers: list[threading.Thread] = []
        self.settings = quick_settings(lab, redis.url)
        for section, values in (changes or {}).items():
            self.settings.setdefault(section, {}).update(values)
        self.config = lab.directory / f"trimtab-{redis.port}.toml"
        self._rules = list(rules)
        self._entries = entries or {}
        self.write_config()
        self.store: Store = open_store(StoreSettings(url=redis.url, timeout_s=2.0), SystemClock())
        self.lines: list[str] = []
        self._listener = listener

    @property
    def interval_s(self) -> float:
        """Seconds from one cycle of the daemon to the next."""
        return float(self.settings["scheduler"]["interval_s"])

    def write_config(self, windows: Iterable[dict[str, Any]] = ()) -> None:
        """Write the configuration, with these windows; a daemon that runs reads it again."""
        lists = {"hosts": self._hosts(), "rules": self._rules, "windows": list(windows)}
        self.config.write_text(_toml(self.settings, lists))
        if self.daemon_runs and self._daemon is not None:
            self._daemon.send_signal(signal.SIGHUP)

    # -- processes -------------------------------------------------------------------------------------------------
    def start_agent(self, host: LabHost) -> None:
        """Start an agent in a host, as its system does when it boots."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = host.run([*TRIMTAB, "--config", str(self.config), "agent"], cwd=str(ROOT), text=True, **pipes)
        self._agents[host.name] = process
        self._follow(process.stdout, f"agent {host.name}: ")

    def start_agents(self) -> None:
        """Start an agent in each host that is up, and wait until each has reported its guests' CPU use."""
        for host in self.lab.hosts:
            self.start_agent(host)
        names = {host.name for host in self.lab.hosts}
        wait_until(lambda: names <= set(self.reports()), 30, f"not every agent has reported: {self.said()}", 0.1)

    def start_daemon(self) -> None:
        """Start `trimtab run`."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = [*TRIMTAB, "--config", str(self.config), "run"]
        self._daemon = self.lab.spawner.start(command, cwd=str(ROOT), text=True, **pipes)
        self._follow(self._daemon.stdout, "")

    def kill_daemon(self) -> None:
        """Send the daemon SIGKILL."""
        if self._daemon is not None:
            end_process(self._daemon)
            self._daemon = None

    def stop_daemon(self, seconds: float = 60) -> int:
        """Let the daemon finish what runs and sum up, as Ctrl-C does; return its exit status."""
        if self._daemon is None:
            raise LabError("no daemon was started")
        self._daemon.send_signal(signal.SIGINT)
        status = self._daemon.wait(seconds)
        self._daemon = None
        return int(status)

    @property
    def daemon_runs(self) -> bool:
        """The daemon was started and has not ended."""
        return self._daemon is not None and self._daemon.poll() is None

    def trimtab(self, *words: str, seconds: float = VERB_S) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        command = [*TRIMTAB, "--config", str(self.config), *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Begin a verb and let it run."""
        command = [*TRIMTAB, "--config", str(self.config), *words]
        process: subprocess.Popen[str] = self.lab.spawner.start(
            command, cwd=str(ROOT), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return process

    def close(self) -> None:
        """End everything that was started here."""
        self.kill_daemon()
        for process in self._agents.values():
            if process.poll() is None:
                process.kill()
                process.wait(10)
        self._agents.clear()
        for reader in self._readers:
            reader.join(2)
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is not None and self._listener is ignore:
            print(self.said())

    # -- what can be read of it ------------------------------------------------------------------------------------
    def said(self) -> str:
        """Return every line that agents and daemon have printed."""
        return "\n".join(self.lines)

    def reports(self) -> dict[str, Report]:
        """Return the latest report of each host."""
        return {report.host: report for report in self.store.reports()}

    def status(self) -> dict[str, Any]:
        """Return what the daemon publishes, empty while there is none."""
        text = self.store.status()
        status: dict[str, Any] = {} if text is None else json.loads(text)
        return status

    def journal(self) -> tuple[JournalEntry, ...]:
        """Return the whole journal, oldest first."""
        return self.store.journal(1000)

    def plans(self) -> tuple[PlanRecord, ...]:
        """Return all plans, oldest first."""
        return tuple(reversed(self.store.plans(100)))

    def moves(self) -> list[tuple[str, str, str]]:
        """Return (guest, from, to) of every step that is done, plan by plan."""
        return [
            (step.guest_name, step.source, step.target)
            for record in self.plans()
            for step in record.plan.migrations
            if record.step_state(step.id) == "done"
        ]

    def placement(self) -> dict[str, str]:
        """Return the host that each guest of the lab runs on, asked of the hosts; `LabError` when it is not one."""
        return {name: guest.host for name, guest in sorted(self.lab.guests.items())}

    def counts(self) -> dict[str, int]:
        """Return how many QEMUs run on each host."""
        return {host.name: len(host.qemus()) for host in self.lab.hosts}

    # -- waiting ---------------------------------------------------------------------------------------------------
    def wait(self, condition: Callable[[], Any], seconds: float, what: str) -> Any:
        """Return the first true value of `condition()`; `LabError` with all that was said after `seconds`."""
        return wait_until(condition, seconds, f"not within {seconds:g} s: {what}\n{self.said()}", 0.05)

    def wait_for_line(self, text: str, seconds: float, after: int = 0) -> str:
        """Return the first line that holds `text`, from line number `after` on."""
        found: str = self.wait(
            lambda: next((line for line in self.lines[after:] if text in line), None), seconds, f"a line with {text!r}"
        )
        return found

    def wait_for_rest(self, seconds: float) -> None:
        """Wait until the daemon has moved guests and then finds nothing more to do."""
        self.wait(lambda: self.rests() and self.moves(), seconds, f"rest; guests by host: {self.counts()}")

    def rests(self) -> bool:
        """Whether the daemon's last cycle looked at the cluster as it is since the last step, and found it even."""
        status, journal = self.status(), self.journal()
        if not status or self.store.active_plan() is not None:
            return False
        said_at = datetime.fromisoformat(str(status["at"]))
        return "under the threshold" in str(status["sentence"]) and not (journal and said_at <= journal[-1].at)

    def wait_for_migration(self, seconds: float = 40, ratio: float = 0.0) -> Any:
        """Return the first step found running with some of its memory sent."""

        def found() -> Any:
            record = self.store.active_plan()
            for step in record.plan.migrations if record is not None else ():
                written = record.steps.get(step.id) if record is not None else None
                if written is not None and written.state == "running" and written.progress_ratio > ratio:
                    return step
            return None

        return self.wait(found, seconds, "a migration under way")

    def wait_for_idle(self, seconds: float = 60) -> None:
        """Wait until no plan is under way."""
        self.wait(lambda: self.store.active_plan() is None, seconds, "no plan under way")

    def _hosts(self) -> list[dict[str, Any]]:
        return [
            {
                "id": host.name,
                "uri": host.uri,
                "migration_address": host.address,
                "cpu_millicores": HOST_CPU_MILLICORES,
                "memory_mib": HOST_MEMORY_MIB,
                **self._entries.get(host.name, {}),
            }
            for host in self.lab.hosts
        ]

    def _follow(self, stream: IO[str] | None, prefix: str) -> None:
        assert stream is not None

        def read_on() -> None:
            for line in stream:
                self.lines.append(prefix + line.rstrip("\n"))
                self._listener(self.lines[-1])

        thread = threading.Thread(target=read_on, name="reader", daemon=True)
        thread.start()
        self._readers.append(thread)


def starts_of_steps(journal: Iterable[JournalEntry]) -> dict[tuple[str, str], int]:
    """Return how often each step (plan, step) was begun."""
    starts: dict[tuple[str, str], int] = {}
    for entry in journal:
        if entry.step and entry.state == "running":
            starts[entry.plan, entry.step] = starts.get((entry.plan, entry.step), 0) + 1
    return starts


def ended_plans(records: Iterable[PlanRecord]) -> list[PlanRecord]:
    """Return the plans that are over."""
    return [record for record in records if record.state is PlanState.ENDED]


class Doubles:
    """Watches in the background that no guest ever runs on two hosts, looking as often as it can."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="doubles", daemon=True)
        self.found: list[str] = []
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(20)

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.look()

    def look(self) -> None:
        """Ask every host which guests run there. Two at once are asked again: a guest may cross between two calls."""
        import libvirt

        for name in tuple(self._lab.guests):
            try:
                twice = len(self._lab.where(name)) > 1 and len(self._lab.where(name)) > 1
            except (libvirt.libvirtError, LabError, OSError):
                continue
            self.looks += 1
            if twice:
                self.found.append(f"{time.strftime('%H:%M:%S')} {name} runs on {self._lab.where(name)}")


def _toml(sections: Toml, lists: Mapping[str, list[dict[str, Any]]]) -> str:
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {_toml_value(value)}" for key, value in values.items()), ""]
    for name, entries in lists.items():
        for entry in entries:
            lines += [f"[[{name}]]", *(f"{key} = {_toml_value(value)}" for key, value in entry.items()), ""]
    return "\n".join(lines)


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_value(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)
