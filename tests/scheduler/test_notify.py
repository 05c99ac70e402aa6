"""Word to systemd: datagrams to the socket it names, and silence where there is none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from scheduler.notify import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_arrives_as_a_datagram(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, or a name of the abstract kind."""
    name = f"@trimtab-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if abstract else name)
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1")
        assert listener.recv(100) == b"READY=1"


def test_nobody_to_hear_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither no socket named, nor one that is gone."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
