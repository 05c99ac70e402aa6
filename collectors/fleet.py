"""Collection without agents: all hosts looked at together, each on its own thread, none waiting for a silent one."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster.clock import Clock
from cluster.errors import TrimtabError
from cluster.report import Report
from cluster.store.protocol import Store
from collectors.reporter import Reporter

GRACE_S = 2.0
WITHOUT_AGENT = "remote"
"""Boot id in reports of hosts that are only seen from afar."""


@dataclass(slots=True)
class _Look:
    """One look at a host: its report or what went wrong, once `done` is set."""

    done: threading.Event = field(default_factory=threading.Event)
    report: Report | None = None
    error: str = ""


class Fleet:
    """Looks at many hosts at once and puts their reports into the store.

    Each look has the collector's own deadline; a round takes at most `deadline_s` and a little grace. A host whose
    look is still under way then is not asked again before it is over, so nothing piles up; what it brings late is
    stored with the next round.
    """

    def __init__(
        self, reporters: Sequence[Reporter], store: Store, clock: Clock, deadline_s: float, report_ttl_s: float
    ) -> None:
        self._reporters = {reporter.host: reporter for reporter in reporters}
        self._store = store
        self._clock = clock
        self._deadline_s = deadline_s
        self._report_ttl_s = report_ttl_s
        self._looks: dict[str, _Look] = {}

    def collect(self) -> Mapping[str, str]:
        """Look at every host; store what was seen; return the hosts that did not answer, with the reason.

        Raises `StoreUnavailableError`.
        """
        silent: dict[str, str] = {}
        until_s = self._clock.monotonic_s() + self._deadline_s + GRACE_S
        for host in sorted(self._reporters):
            self._begin(host)
        for host, look in sorted(self._looks.items()):
            if not look.done.wait(max(0.0, until_s - self._clock.monotonic_s())):
                silent[host] = f"host {host}: no answer within {self._deadline_s + GRACE_S:g} s"
            elif not self._store_result(host):
                silent[host] = look.error
        return silent

    def close(self) -> None:
        """Write the history gathered and let go of connections. Looks under way end by themselves."""
        for host, reporter in self._reporters.items():
            look = self._looks.get(host)
            if look is None or look.done.is_set():
                reporter.flush(self._store)
                reporter.collector.close()

    def _begin(self, host: str) -> None:
        last = self._looks.get(host)
        if last is not None:
            if not last.done.is_set():
                return
            self._store_result(host)
        look = self._looks[host] = _Look()
        threading.Thread(target=self._look, args=(host, look), name=f"look at {host}", daemon=True).start()

    def _store_result(self, host: str) -> bool:
        """Store what a look that is over has brought; false when it brought nothing."""
        look = self._looks.pop(host)
        if look.report is not None:
            self._reporters[host].publish(look.report, self._store, self._report_ttl_s)
        return look.report is not None

    def _look(self, host: str, look: _Look) -> None:
        try:
            look.report = self._reporters[host].report()
        except TrimtabError as error:
            look.error = str(error)
        finally:
            if look.report is None and not look.error:
                look.error = f"host {host}: looking at it failed in Trimtab itself; see the log"
            look.done.set()
