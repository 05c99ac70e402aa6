"""Writes the logs scenarios have to give: `python -m tests.scenarios.update [NAME ...]`. Then read the difference."""

from __future__ import annotations

import sys

from simulator.replay import run_scenario
from simulator.scenario_file import EXPECTED_FILE
from tests.scenarios.test_scenarios import FOLDERS, new_loop


def main(names: list[str]) -> None:
    """Run the named scenarios, or all, and write their logs."""
    for folder in FOLDERS:
        if not names or folder.name in names:
            log = run_scenario(folder, new_loop())
            (folder / EXPECTED_FILE).write_text("\n".join(log) + "\n")
            print(f"{folder.name}: {len(log)} lines")


if __name__ == "__main__":
    main(sys.argv[1:])
