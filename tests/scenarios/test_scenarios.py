"""Every scenario folder gives the log it has to, and nothing that must never happen happens in any."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.replay.simulated import Bench
from simulator.replay import LoopFactory, run_scenario
from simulator.scenario_file import EXPECTED_FILE, SCENARIO_FILE

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob(f"*/{SCENARIO_FILE}"))


def new_loop() -> LoopFactory:
    """The real loop, with a store of its own."""
    return Bench().loop


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_log_is_as_expected(folder: Path) -> None:
    """Line by line. After a wanted change: `python -m tests.scenarios.update NAME`, and read the difference."""
    log = run_scenario(folder, new_loop())
    assert log[-1] == "end   no violation"
    assert log == (folder / EXPECTED_FILE).read_text().splitlines()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_scenario_says_why_it_is_there(folder: Path) -> None:
    """A title and a reason."""
    title, _, reason = (folder / "README.md").read_text().partition("\n")
    assert title.startswith("# ")
    assert len(reason.split()) > 15


def test_there_are_scenarios() -> None:
    """An empty list of folders would pass everything."""
    assert len(FOLDERS) >= 12


def test_a_second_run_gives_the_same_log() -> None:
    """Nothing of the first run, nor of the machine's clock, reaches the second."""
    folder = Path(__file__).parent / "crash_mid_plan"
    assert run_scenario(folder, new_loop()) == run_scenario(folder, new_loop())
