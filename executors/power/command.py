"""Power by an operator's own command: a program given an action (`sleep`, `wake`, `state`, `watts`) and the host's id.

Exit status 0 means that the action was taken on; anything else, with a sentence on stderr, that it was not. `state`
prints one of our power states; `watts` prints a number, or nothing where nothing measures them.
"""

from __future__ import annotations

from cluster.connections.program import run_program
from cluster.errors import StepError
from cluster.host import PowerState


class CommandDriver:
    """An `executors.power.protocol.PowerDriver` that runs a command. `words`: program and first arguments."""

    sees_power = True

    def __init__(self, host: str, words: tuple[str, ...], deadline_s: float) -> None:
        self._host = host
        self._words = words
        self._deadline_s = deadline_s

    def state(self) -> PowerState:
        """Return the state that the command prints."""
        said = self._run("state").strip()
        try:
            return PowerState(said)
        except ValueError:
            states = ", ".join(PowerState)
            raise StepError(
                f"host {self._host}: {self._words[0]} state printed {said[:40]!r}; it has to print one of {states}"
            ) from None

    def sleep(self) -> None:
        """Run it with `sleep`."""
        self._run("sleep")

    def wake(self) -> None:
        """Run it with `wake`."""
        self._run("wake")

    def watts(self) -> float | None:
        """Return the figure that it prints, if any."""
        said = self._run("watts").strip()
        try:
            return float(said) if said and 0 <= float(said) < 1e6 else None
        except ValueError:
            raise StepError(f"host {self._host}: {self._words[0]} watts printed {said[:40]!r}, no number") from None

    def close(self) -> None:
        """Nothing is held open."""

    def _run(self, action: str) -> str:
        ended = run_program(f"host {self._host}", (*self._words, action, self._host), self._deadline_s)
        if ended.status != 0:
            raise StepError(f"host {self._host}: {self._words[0]} {action} ended with {ended.status}: {ended.said}")
        return ended.out
