"""The Redfish emulator of sushy-tools with a lab host behind it: `python -m tests.lab.redfish_emulator CONFIGURATION`.

Everything that answers is sushy-tools'; only its fake system's power is the lab's power switch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sushy_tools import error
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import fakedriver

from tests.lab.turn_switch import ask

WORDS = {"On": "on", "ForceOn": "on", "GracefulShutdown": "soft", "ForceOff": "off"}


class SwitchedDriver(fakedriver.FakeDriver):  # type: ignore[misc]
    """One system whose power state is asked of the switch and told to it."""

    def get_power_state(self, identity: str) -> str:
        return "On" if self._ask(identity, "get") == "on" else "Off"

    def set_power_state(self, identity: str, state: str) -> None:
        if state not in WORDS:
            raise error.NotSupportedError(f"Power state {state} is not supported")
        self._ask(identity, WORDS[state])

    def _ask(self, identity: str, word: str) -> str:
        system = self._get(identity)
        try:
            return ask(self._config["LAB_SWITCH_PORT"], system["name"], word)
        except OSError as refused:
            raise error.BadRequest(str(refused)) from None


def main(arguments: list[str]) -> int:
    """Serve until killed."""
    config: dict[str, Any] = json.loads(Path(arguments[0]).read_text())
    fakedriver.FakeDriver = SwitchedDriver
    emulator.app.config.update(config)
    sys.argv = ["sushy-emulator", "--fake"]
    return int(emulator.main())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
