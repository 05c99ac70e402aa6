"""A lab leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import Lab, LabError, lab_missing
from tests.lab.network import leftover_interfaces
from tests.lab.processes import wait_until

pytestmark = pytest.mark.lab

_LOCK_WAIT_S = 300
_CHILD = """\
import sys, time
from tests.lab import Lab
from tests.lab.bmc import Bmcs, emulators_missing
lab = Lab(hosts=2).start(wait_for_lock_s=300)
lab.guest("left", "lab-1")
bmcs = Bmcs(lab, {} if emulators_missing() else {"lab-1": "redfish", "lab-2": "ipmi"}).__enter__()
print(lab.directory, *lab.qemus("left").values(), *lab.pids(), *bmcs.pids(), flush=True)
time.sleep(300)
"""


@pytest.fixture(autouse=True)
def _needs_the_lab() -> None:
    missing = lab_missing()
    if missing:
        pytest.skip(missing)


def nothing_left(pids: list[int], directory: Path) -> bool:
    """No process of the lab, no interface, no mount."""
    alive = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    return not alive and not leftover_interfaces() and str(directory) not in Path("/proc/self/mountinfo").read_text()


def test_a_stopped_lab_is_gone() -> None:
    """Processes, interfaces, mounts and its own directory."""
    lab = Lab(hosts=2).start(wait_for_lock_s=_LOCK_WAIT_S)
    lab.guest("gone", "lab-1")
    pids = [*lab.qemus("gone").values(), *lab.pids()]
    directory = lab.directory
    assert len(pids) == 4
    assert leftover_interfaces() == ["ttlab0"]
    lab.stop()
    assert nothing_left(pids, directory)
    assert not directory.exists()


def test_a_killed_test_run_takes_its_lab_along() -> None:
    """SIGKILL of the process that started the lab ends every host and guest; the next lab removes its files."""
    root = Path(__file__).parents[2]
    child = subprocess.Popen([sys.executable, "-c", _CHILD], stdout=subprocess.PIPE, text=True, cwd=root)
    assert child.stdout is not None
    words = child.stdout.readline().split()
    directory, pids = Path(words[0]), [int(word) for word in words[1:]]
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(LabError, match="another lab runs on this machine"):
        Lab(hosts=1).start()
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    wait_until(lambda: nothing_left(pids, directory), 10, f"the killed lab left something of {pids} or {directory}")
    with Lab(hosts=1).start(wait_for_lock_s=_LOCK_WAIT_S):
        assert not directory.exists()
