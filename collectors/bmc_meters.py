"""Draw of whole machines as their BMCs' meters show it, all read together, none waiting for a silent one.

Read by the leader, since a BMC's password is no business of agents. A meter that fails is passed over: what it does not
say is modelled instead, and `troubles` tells why.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from cluster.clock import Clock
from cluster.config.power import BmcDriver, BmcSettings
from cluster.config.settings import Settings
from cluster.connections.program import run_program
from cluster.errors import StepError, TrimtabError

MOST_AT_ONCE = 32
MOST_WATTS = 1e6
ROUND_S = 2.0
"""How long a round is waited for: the leader has more to do. What comes later counts with the next round."""


class Meter(Protocol):
    """Something that shows one host's draw."""

    def watts(self) -> float | None:
        """Return watts, or `None` where nothing measures. Raises `TrimtabError` when it fails."""


class BmcMeters:
    """The meters of all hosts that have one. For one thread; readings run on threads of their own."""

    def __init__(self, meters: Mapping[str, Meter], clock: Clock, round_s: float) -> None:
        """`round_s`: how long a round may take."""
        self._meters = dict(meters)
        self._clock = clock
        self._round_s = round_s
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._read: dict[str, tuple[float, float]] = {}
        self._troubles: dict[str, str] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are asked."""
        return tuple(sorted(self._meters))

    @property
    def troubles(self) -> Mapping[str, str]:
        """Why a host's meter said nothing when it was last asked, by host."""
        with self._lock:
            return dict(sorted(self._troubles.items()))

    def read(self, not_older_s: float) -> Mapping[str, float]:
        """Ask every meter that is not being asked still; return what was read within so many seconds, by host."""
        with self._lock:
            todo = deque(host for host in self.hosts if host not in self._under_way)
            self._under_way.update(todo)
        threads = [
            threading.Thread(target=self._work, args=(todo,), name="read a power meter", daemon=True)
            for _ in range(min(MOST_AT_ONCE, len(todo)))
        ]
        for thread in threads:
            thread.start()
        until_s = self._clock.monotonic_s() + self._round_s
        for thread in threads:
            thread.join(max(0.0, until_s - self._clock.monotonic_s()))
        now_s = self._clock.monotonic_s()
        with self._lock:
            self._under_way.difference_update(todo)  # not begun: asked first thing next time
            todo.clear()
            return {host: watts for host, (watts, at_s) in sorted(self._read.items()) if now_s - at_s <= not_older_s}

    def _work(self, todo: deque[str]) -> None:
        while True:
            with self._lock:
                if not todo:
                    return
                host = todo.popleft()
            watts, trouble = self._ask(host)
            with self._lock:
                self._under_way.discard(host)
                self._troubles.pop(host, None)
                if trouble:
                    self._troubles[host] = trouble
                if watts is not None:
                    self._read[host] = watts, self._clock.monotonic_s()

    def _ask(self, host: str) -> tuple[float | None, str]:
        try:
            return self._meters[host].watts(), ""
        except TrimtabError as error:
            return None, str(error)


class CommandMeter:
    """The meter behind an operator's own command: run with `watts` and the host's id, it prints a number or nothing."""

    def __init__(self, host: str, words: tuple[str, ...], deadline_s: float) -> None:
        self._host = host
        self._words = words
        self._deadline_s = deadline_s

    def watts(self) -> float | None:
        """Run it once. `StepError` where it fails or prints no number."""
        ended = run_program(f"host {self._host}", (*self._words, "watts", self._host), self._deadline_s)
        said = ended.out.strip()
        try:
            watts = float(said) if said and ended.status == 0 else None
        except ValueError:
            watts = math.nan
        if ended.status != 0 or (watts is not None and not 0 <= watts <= MOST_WATTS):
            raise StepError(f"host {self._host}: {self._words[0]} watts ended with {ended.status}: {ended.said}")
        return watts


def open_meters(settings: Settings, clock: Clock) -> BmcMeters:
    """Return the meters of the hosts reached by Redfish, IPMI or an operator's command. Nothing is asked yet."""
    deadline_s = settings.power.deadline_s
    found = {
        host.id: METERS[host.bmc.driver](host.id, host.bmc, deadline_s)
        for host in settings.hosts
        if host.bmc is not None and host.bmc.driver in METERS
    }
    return BmcMeters(found, clock, ROUND_S)


def _redfish(host: str, bmc: BmcSettings, deadline_s: float) -> Meter:
    from cluster.connections.redfish import RedfishConnection

    return RedfishConnection(host, bmc, deadline_s)


def _ipmi(host: str, bmc: BmcSettings, deadline_s: float) -> Meter:
    from cluster.connections.ipmi import IpmiConnection

    return IpmiConnection(host, bmc, deadline_s)


METERS: Mapping[BmcDriver, Callable[[str, BmcSettings, float], Meter]] = {
    BmcDriver.REDFISH: _redfish,
    BmcDriver.IPMI: _ipmi,
    BmcDriver.COMMAND: lambda host, bmc, deadline_s: CommandMeter(host, bmc.command, deadline_s),
}
