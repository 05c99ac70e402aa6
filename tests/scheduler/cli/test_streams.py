"""What is printed when nobody can read it."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path

import pytest

from scheduler.cli.context import Context


class Broken(io.StringIO):
    """A stream that fails as the terminal or disk behind it does."""

    def __init__(self, number: int, path: Path) -> None:
        super().__init__()
        self.number = number
        self.file = path.open("w")

    def flush(self) -> None:
        """Fail."""
        raise OSError(self.number, "not written")

    def fileno(self) -> int:
        """Return a real file's number."""
        return self.file.fileno()


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO], ids=["pipe", "terminal"])
def test_a_daemon_outlives_its_terminal(number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it says after the window was closed is dropped; it goes on with what it does."""
    monkeypatch.setattr(sys, "stdout", Broken(number, tmp_path / "out"))
    Context().progress("began plan P1")


def test_a_full_disk_is_not_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half a result in a file must not look like a whole one."""
    monkeypatch.setattr(sys, "stdout", Broken(errno.ENOSPC, tmp_path / "out"))
    with pytest.raises(OSError, match="not written"):
        Context().write("{}")
