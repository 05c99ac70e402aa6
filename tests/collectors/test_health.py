"""Signs that a machine fails, from files as a kernel writes them and from a disk's own words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from collectors.health import (
    LOOK_EVERY_S,
    HealthCollector,
    heat,
    lost_disks,
    memory_errors,
    smart_says_failing,
)
from tests.collectors.fakes import FakeClock


def write(path: Path, text: str) -> None:
    """A file and the folders it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_memory_errors_that_could_not_be_corrected_are_told(tmp_path: Path) -> None:
    """By controller; corrected ones are no sign, nor is a counter that cannot be read."""
    write(tmp_path / "mc0/ue_count", "2\n")
    write(tmp_path / "mc0/ce_count", "900\n")
    write(tmp_path / "mc1/ue_count", "0\n")
    write(tmp_path / "mc2/ue_count", "nonsense\n")
    assert memory_errors(tmp_path) == ["2 uncorrectable memory errors (mc0)"]
    assert memory_errors(tmp_path / "nowhere") == []


def test_a_disk_that_the_kernel_gave_up_is_told(tmp_path: Path) -> None:
    """One that runs is none, nor one without a state."""
    write(tmp_path / "sda/device/state", "running\n")
    write(tmp_path / "sdb/device/state", "offline\n")
    (tmp_path / "loop0").mkdir()
    assert lost_disks(tmp_path) == ["disk sdb is offline"]


@pytest.mark.parametrize(("celsius", "is_hot"), [(99.0, False), (100.0, True), (110.0, True), (255.0, False)])
def test_heat_counts_at_the_critical_mark_unless_the_sensor_is_broken(
    monkeypatch: pytest.MonkeyPatch, celsius: float, is_hot: bool
) -> None:
    """A sensor without a mark of its own says nothing."""
    package = SimpleNamespace(label="Package id 0", current=celsius, critical=100.0)
    unmarked = SimpleNamespace(label="", current=300.0, critical=None)
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"coretemp": [package, unmarked]}, raising=False)
    told = [f"coretemp Package id 0 is at {celsius:.0f} °C, 100 is critical"]
    assert heat() == (told if is_hot else [])


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ('{"smart_status": {"passed": false}}', True),
        ('{"smart_status": {"passed": true}}', False),
        ('{"smartctl": {"exit_status": 2}}', False),
        ("[]", False),
        ("", False),
    ],
)
def test_a_disks_own_verdict(text: str, fails: bool) -> None:
    """Only a clear no counts."""
    assert smart_says_failing(text) is fails


def test_a_look_is_taken_now_and_then_and_holds_nobody_up() -> None:
    """What the last look saw is told until the next one has ended."""
    clock, looks = FakeClock(), [["too hot"], []]
    health = HealthCollector(clock, (lambda: looks.pop(0),))
    health.signs()
    health._looking.join()
    assert health.signs() == ("too hot",)
    assert len(looks) == 1
    clock.sleep(LOOK_EVERY_S)
    health.signs()
    health._looking.join()
    assert health.signs() == ()
