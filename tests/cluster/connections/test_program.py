"""Programs run with a deadline, and secrets out of files that nobody else may read."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cluster.connections.program import MOST_BYTES, run_program
from cluster.connections.secret_file import read_secret
from cluster.errors import HostUnreachableError, InputError


def shell(script: str, deadline_s: float = 5.0) -> tuple[int, str, str]:
    """Run a script."""
    ended = run_program("host h1", ("/bin/sh", "-c", script), deadline_s)
    return ended.status, ended.out, ended.said


def test_a_program_says_how_it_ended() -> None:
    """Its status, what it wrote, and its error on one line."""
    assert shell("echo yes; printf 'not\\n so\\033[1m' >&2; exit 3") == (3, "yes\n", "not so [1m")
    assert shell("exit 1") == (1, "", "it says nothing")


def test_a_program_that_hangs_is_killed_with_all_that_it_began(tmp_path: Path) -> None:
    """At its deadline, and nothing is left that holds on."""
    began_s = time.monotonic()
    with pytest.raises(HostUnreachableError, match=r"host h1: sh did not end within 0\.3 s"):
        shell(f"sleep 60 & echo $! >{tmp_path}/child; wait", 0.3)
    assert time.monotonic() - began_s < 2.0
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            return
        time.sleep(0.02)
    pytest.fail("the child lives on")


def test_a_child_that_is_left_behind_holds_nothing_up() -> None:
    """A daemon that keeps the output open is not waited for."""
    began_s = time.monotonic()
    assert shell("sleep 60 & echo done")[1] == "done\n"
    assert time.monotonic() - began_s < 2.0


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others have put there, a password say, is not handed on."""
    monkeypatch.setenv("IPMI_PASSWORD", "not for you")
    names = {line.partition("=")[0] for line in shell("env")[1].splitlines()}
    assert names <= {"PATH", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"}


def test_what_it_writes_is_kept_short() -> None:
    """A program gone wild fills no memory."""
    assert len(shell(f"head -c {4 * MOST_BYTES} /dev/zero")[1]) == MOST_BYTES


# -- secrets -----------------------------------------------------------------------------------------------------------


def secret(tmp_path: Path, held: bytes, mode: int = 0o600) -> Path:
    """Write a file."""
    path = tmp_path / "secret"
    path.write_bytes(held)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("held", [b"s3cret", b"s3cret\n", b"s3cret\r\n"])
def test_a_secret_is_the_line_in_its_file(tmp_path: Path, held: bytes) -> None:
    """Without the end of the line, which editors add."""
    assert read_secret("bmc.password_file", str(secret(tmp_path, held))) == "s3cret"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o620, 0o602, 0o644])
def test_a_secret_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever may read it knows it, whoever may write it can put another there."""
    with pytest.raises(InputError, match="is open to others than its owner; run: chmod 600"):
        read_secret("bmc.password_file", str(secret(tmp_path, b"s3cret", mode)))


@pytest.mark.parametrize("held", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"bell\x07", b"x" * 5000])
def test_what_is_no_secret_is_refused_without_showing_it(tmp_path: Path, held: bytes) -> None:
    """The message names the file, never what is in it."""
    with pytest.raises(InputError, match="bmc.password_file: ") as refused:  # noqa: RUF043 - a dot is any
        read_secret("bmc.password_file", str(secret(tmp_path, held)))
    assert "two" not in str(refused.value)


def test_a_secret_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe would hang, a directory holds nothing, and what is missing is said to be."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("pipe", "missing", "."):
        with pytest.raises(InputError, match="name a file that holds it alone"):
            read_secret("bmc.password_file", str(tmp_path / name))
