"""Signs that a machine fails: memory errors that could not be corrected, heat at the critical mark, disks that say so.

For a collector that runs on the host itself. Each sign is one small function and one line in `SIGNS`; it returns
sentences, none where all is well or this machine does not say.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from cluster.clock import Clock

_EDAC = Path("/sys/devices/system/edac/mc")
_BLOCK = Path("/sys/block")
LOOK_EVERY_S = 60.0
"""Between two looks: some signs take a while to read."""
SMART_TIMEOUT_S = 10.0
_IMPLAUSIBLE_C = 150.0
"""A sensor that shows more than this is broken, not hot."""

Sign = Callable[[], list[str]]


def memory_errors(edac: Path = _EDAC) -> list[str]:
    """Uncorrectable errors since the machine started, by memory controller (the kernel's EDAC counters)."""
    found = []
    for counter in sorted(edac.glob("mc*/ue_count")):
        if (errors := _number(counter)) > 0:
            found.append(f"{errors} uncorrectable memory errors ({counter.parent.name})")
    return found


def heat() -> list[str]:
    """Sensors at or over their own critical mark."""
    import psutil

    read = getattr(psutil, "sensors_temperatures", dict)
    found = []
    for chip, sensors in sorted(read().items()):
        for sensor in sensors:
            if sensor.critical and sensor.critical <= sensor.current < _IMPLAUSIBLE_C:
                name = f"{chip} {sensor.label}".strip()
                found.append(f"{name} is at {sensor.current:.0f} °C, {sensor.critical:.0f} is critical")
    return found


def lost_disks(block: Path = _BLOCK) -> list[str]:
    """Disks that the kernel has given up."""
    found = []
    for state in sorted(block.glob("*/device/state")):
        if _text(state) in ("offline", "transport-offline", "dead"):
            found.append(f"disk {state.parent.parent.name} is {_text(state)}")
    return found


def failing_disks(block: Path = _BLOCK) -> list[str]:
    """Disks that foresee their own end (SMART), where smartctl is installed and may ask them."""
    tool = shutil.which("smartctl")
    if tool is None:
        return []
    found = []
    for disk in sorted(one.parent.name for one in block.glob("*/device")):
        try:
            asked = subprocess.run(
                [tool, "--json=c", "--health", f"/dev/{disk}"],
                capture_output=True,
                text=True,
                timeout=SMART_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if smart_says_failing(asked.stdout):
            found.append(f"disk {disk} says that it is about to fail (SMART)")
    return found


def smart_says_failing(text: str) -> bool:
    """Read smartctl's JSON: whether the disk's own verdict is that it fails. False where there is none."""
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    verdict = answer.get("smart_status") if isinstance(answer, dict) else None
    return isinstance(verdict, dict) and verdict.get("passed") is False


SIGNS: tuple[Sign, ...] = (memory_errors, heat, lost_disks, failing_disks)


class HealthCollector:
    """Looks for all signs every `LOOK_EVERY_S`, on a thread of its own: a disk that fails may take long to answer."""

    def __init__(self, clock: Clock, signs: tuple[Sign, ...] = SIGNS) -> None:
        self._clock = clock
        self._signs = signs
        self._looked_s: float | None = None
        self._looking = threading.Thread()
        self._found: tuple[str, ...] = ()

    def signs(self) -> tuple[str, ...]:
        """Return what the last look that ended saw of a failing machine, a sentence each."""
        now_s = self._clock.monotonic_s()
        if not self._looking.is_alive() and (self._looked_s is None or now_s - self._looked_s >= LOOK_EVERY_S):
            self._looked_s = now_s
            self._looking = threading.Thread(target=self._look, name="health", daemon=True)
            self._looking.start()
        return self._found

    def _look(self) -> None:
        self._found = tuple(text for sign in self._signs for text in sign())


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
