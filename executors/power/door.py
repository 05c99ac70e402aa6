"""The agent's part when its host is to go down: check who asks, keep guests from being started, look, and say so.

The order is what makes it safe: the door is shut first and looked through afterwards, so that a guest which passed the
door is seen and any later one finds it shut. The door is a file that libvirt's hook (`config/libvirt-hook`) looks at
before a guest is started or comes; it opens by itself after its time, and with a restart of the host.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cluster.clock import Clock
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.errors import ConflictError, FencedError, TrimtabError
from cluster.plan import Sleep, StepState
from cluster.store.protocol import Store
from executors.power.active_guests import why_not_empty
from executors.power.rooms import ANSWER, ASK, HOOK, HOOKED, Answer, Ask, read_answer, read_ask

DOOR = Path("/run/trimtab/no-starts")
DAEMONS = tuple(Path(run, f"{daemon}.pid") for run in ("/run", "/run/libvirt") for daemon in ("libvirtd", "virtqemud"))
"""Where libvirt's daemon writes that it has started: it looks for new hooks only then."""
HOOKS = (Path("/etc/libvirt/hooks/qemu.d/trimtab"), Path("/etc/libvirt/hooks/qemu"))
MARK = b"trimtab/no-starts"
"""What a hook that looks at the door has in its text."""
READY = "looked"
"""The word of the journal for a host whose agent found it empty."""


class Door:
    """One host's door. `look` is called once per round of the agent, before it reports. Not for several threads."""

    def __init__(
        self,
        host: str,
        connection: LibvirtConnection,
        clock: Clock,
        door: Path = DOOR,
        hooks: tuple[Path, ...] = HOOKS,
        daemons: tuple[Path, ...] = DAEMONS,
    ) -> None:
        self._daemons = daemons
        self._host = host
        self._connection = connection
        self._clock = clock
        self._door = door
        self._hooks = hooks

    def look(self, store: Store) -> None:
        """Answer a new ask; open the door where none is held; tell whether there is a hook. `StoreUnavailableError`."""
        flags = store.flags()
        hooked = HOOKED if self._is_hooked() else None
        if flags.get(HOOK + self._host) != hooked:
            store.set_flag(HOOK + self._host, hooked)
        ask = read_ask(flags.get(ASK + self._host))
        if ask is None:
            self._open()
            return
        answer = read_answer(flags.get(ANSWER + self._host))
        if answer is not None and answer.ask == ask:
            return
        why_not = self._why_not(store, ask)
        store.set_flag(ANSWER + self._host, Answer(ask, why_not, self._is_hooked()).text())

    def close(self) -> None:
        """Let go of libvirt. The door stays as it is."""
        self._connection.close()

    def _why_not(self, store: Store, ask: Ask) -> str:
        if not self._is_under_way(store, ask):
            self._open()
            return "who asked for it does not lead any more"
        try:
            self._shut(ask.lasting_s)
            why = why_not_empty(self._connection)
            if why is None:
                # Written with the token of who asks: a store that knows a newer leader refuses it.
                store.note_step(ask.plan, ask.step, READY, ask.token, self._clock.now(), "its agent finds it empty")
                return ""
        except (FencedError, ConflictError):
            why = "who asked for it does not lead any more"
        except (TrimtabError, OSError) as error:
            why = f"its agent cannot look: {error}"
        self._open()
        return why

    def _is_under_way(self, store: Store, ask: Ask) -> bool:
        active = store.active_plan()
        if active is None or active.plan.id != ask.plan:
            return False
        is_it = any(
            isinstance(step, Sleep) and (step.id, step.host) == (ask.step, self._host) for step in active.plan.steps
        )
        written = active.steps.get(ask.step)
        return is_it and written is not None and (written.state, written.token) == (StepState.RUNNING, ask.token)

    def _shut(self, lasting_s: float) -> None:
        """Write the door's file, whole or not at all: the second since 1970 when it opens by itself, and a sentence."""
        self._door.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        until = int(self._clock.now().timestamp() + lasting_s)
        new = self._door.with_name(self._door.name + ".new")
        new.write_text(f"{until}\nhost {self._host} is going to sleep\n", encoding="utf-8")
        new.replace(self._door)

    def _open(self) -> None:
        with suppress(OSError):
            self._door.unlink(missing_ok=True)

    def _is_hooked(self) -> bool:
        """Tell whether libvirt asks a hook of ours: one that was there when its daemon started."""
        started = [seen for one in self._daemons if (seen := _changed_s(one)) is not None]
        for hook in self._hooks:
            with suppress(OSError):
                is_ours = os.access(hook, os.X_OK) and MARK in hook.read_bytes()
                if is_ours and started and hook.stat().st_mtime <= max(started):
                    return True
        return False


def _changed_s(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
