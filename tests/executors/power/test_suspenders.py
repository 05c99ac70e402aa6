"""Hosts that suspend themselves: what ssh is called with, what its end means, and what a knock at the door tells."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cluster.errors import HostUnreachableError, StepError
from cluster.host import PowerState
from executors.power.suspenders import SshSuspender


def suspender(address: str = "h1.example.org", user: str = "", identity_file: str = "") -> SshSuspender:
    """A suspender of `h1`."""
    return SshSuspender("h1", address, user, identity_file, 2.0)


def test_ssh_asks_nothing_and_trusts_only_known_keys() -> None:
    """No question, no new host key, no shell of ours; suspend is all that is said."""
    words = " ".join(suspender("h1:2222", "trimtab", "/etc/trimtab/id").arguments())
    assert words == (
        "ssh -n -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=2 -p 2222 "
        "-i /etc/trimtab/id -o IdentitiesOnly=yes -l trimtab -- h1 systemctl suspend"
    )
    assert " ".join(suspender("[fe80::1]").arguments()).endswith("-p 22 -- fe80::1 systemctl suspend")


@pytest.mark.parametrize(
    ("status", "error"), [(0, None), (255, HostUnreachableError), (1, StepError), (127, StepError)]
)
def test_how_ssh_ends_tells_what_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception] | None
) -> None:
    """A line that breaks may have been heard; a refusal was."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho 'Connection closed' >&2\nexit {status}\n", encoding="utf-8")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if error is None:
        suspender().suspend()
        return
    with pytest.raises(error, match="host h1: .*Connection closed"):  # noqa: RUF043
        suspender().suspend()


def test_a_host_that_opens_its_door_is_on() -> None:
    """And of one that does not nothing is known."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = f"127.0.0.1:{door.getsockname()[1]}"
        assert suspender(address).state() is PowerState.ON
    assert suspender(address).state() is PowerState.UNKNOWN
