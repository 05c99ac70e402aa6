"""The last look before a host goes down, as the scheduler sees it taken: by the host's agent, or from afar.

The agent (`executors/power/door.py`) keeps guests from being started, then looks, and says so through the store. Where
none runs, the scheduler looks over libvirt itself; a guest started after that look goes down with the host, which is
said in the plan's journal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cluster.clock import Clock
from cluster.config.power import StartsBlocked
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.errors import HostUnreachableError, RefusedError
from cluster.plan import PlanRecord, StepState
from cluster.store.protocol import Store
from executors.power.active_guests import why_not_empty

ASK = "power_ask:"
ANSWER = "power_answer:"
HOOK = "power_hook:"
HOOKED = "there"
"""The flag of a host whose libvirt asks our hook, as its agent finds."""
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Ask:
    """What a host's agent is asked before the host goes down: by which step and fencing token, for how long."""

    plan: str
    step: str
    token: int
    lasting_s: float

    def text(self) -> str:
        """Return it as its flag's text."""
        return json.dumps({"plan": self.plan, "step": self.step, "token": self.token, "lasting_s": self.lasting_s})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent says to an ask: why not (empty: the host is empty), and whether starts are kept off."""

    ask: Ask
    why_not: str
    blocked: bool

    def text(self) -> str:
        """Return it as its flag's text."""
        return json.dumps({"ask": json.loads(self.ask.text()), "why_not": self.why_not, "blocked": self.blocked})


def read_ask(text: str | None) -> Ask | None:
    """Return an ask from its text; `None` for what is none."""
    try:
        known = json.loads(text or "")
        return Ask(str(known["plan"]), str(known["step"]), int(known["token"]), float(known["lasting_s"]))
    except (ValueError, KeyError, TypeError):
        return None


def read_answer(text: str | None) -> Answer | None:
    """Return an answer from its text; `None` for what is none."""
    try:
        known = json.loads(text or "")
        ask = read_ask(json.dumps(known["ask"]))
        return None if ask is None else Answer(ask, str(known["why_not"]), bool(known["blocked"]))
    except (ValueError, KeyError, TypeError):
        return None


class Room(Protocol):
    """Where a host is made sure to be empty before it goes down. Blocks, for a while at most."""

    def clear(self, host: str, step: str) -> str:
        """Return once the host holds no guest, with a sentence on the window that remains (empty: none).

        `RefusedError` when it holds one, or may start one; `HostUnreachableError` when nobody could look.
        """

    def leave(self, host: str) -> None:
        """Let guests be started on the host again."""


class RemoteRoom:
    """The look over each host's libvirt, by the scheduler itself. Nothing keeps guests from being started after it."""

    def __init__(self, connections: Mapping[str, LibvirtConnection], starts_blocked: StartsBlocked) -> None:
        self._connections = connections
        self._starts_blocked = starts_blocked

    def clear(self, host: str, step: str) -> str:
        """Look at the host's active guests."""
        if self._starts_blocked is StartsBlocked.REQUIRED:
            raise RefusedError(f"host {host}: no agent there keeps guests from being started (power.starts_blocked)")
        connection = self._connections.get(host)
        if connection is None:
            raise HostUnreachableError(f"host {host}: it has no uri, and no agent looks whether it is empty")
        if (why := why_not_empty(connection)) is not None:
            raise RefusedError(f"host {host}: {why}")
        return "no agent there keeps guests from being started while it goes down"

    def leave(self, host: str) -> None:
        """Nothing was kept off."""


class AgentRoom:
    """The look by each host's own agent, asked and answered through the store."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        starts_blocked: StartsBlocked,
        timeout_s: float,
        lasting_s: float,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._starts_blocked = starts_blocked
        self._timeout_s = timeout_s
        self._lasting_s = lasting_s
        self._sleep = sleep or clock.sleep

    def clear(self, host: str, step: str) -> str:
        """Ask the agent and wait for its answer."""
        ask = self._ask(self._store.active_plan(), step)
        self._store.set_flag(ANSWER + host, None)
        self._store.set_flag(ASK + host, ask.text())
        until_s = self._clock.monotonic_s() + self._timeout_s
        while True:
            answer = read_answer(self._store.flags().get(ANSWER + host))
            if answer is not None and answer.ask == ask:
                break
            if self._clock.monotonic_s() >= until_s:
                raise HostUnreachableError(
                    f"host {host}: its agent did not look within {self._timeout_s:g} s whether it is empty"
                )
            self._sleep(POLL_S)
        if answer.why_not:
            raise RefusedError(f"host {host}: {answer.why_not}")
        if answer.blocked:
            return ""
        if self._starts_blocked is StartsBlocked.REQUIRED:
            raise RefusedError(f"host {host}: Trimtab's libvirt hook is not installed there (power.starts_blocked)")
        return "Trimtab's libvirt hook is not installed there: guests could be started while it goes down"

    def leave(self, host: str) -> None:
        """Take the ask back; the agent lets guests be started again with its next look."""
        self._store.set_flag(ASK + host, None)
        self._store.set_flag(ANSWER + host, None)

    def _ask(self, record: PlanRecord | None, step: str) -> Ask:
        written = None if record is None else record.steps.get(step)
        if record is None or written is None or written.state is not StepState.RUNNING:
            raise RefusedError(f"step {step} is not under way any more")
        return Ask(record.plan.id, step, written.token, self._lasting_s)
