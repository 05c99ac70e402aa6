"""Secrets out of files of their own: what only its owner may read, read anew each time it is needed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cluster.errors import InputError

MOST_BYTES = 4096


def read_secret(what: str, name: str) -> str:
    """Return the one line that a file holds. `what` names the key it is given by.

    `InputError` for a file that is not there, that somebody other than its owner may read or write, or that holds
    nothing, or more than one line.
    """
    path = Path(name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{what}: {path} cannot be read: {error.strerror}; name a file that holds it alone") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise InputError(f"{what}: {path} is no file; name a file that holds it alone")
        if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise InputError(f"{what}: {path} is open to others than its owner; run: chmod 600 {path}")
        held = os.read(descriptor, MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    try:
        text = held.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError(f"{what}: {path} holds no text; write the secret into it, and nothing else") from None
    if not text or len(held) > MOST_BYTES or not text.isprintable():
        raise InputError(f"{what}: {path} is empty or holds more than a line; write the secret into it, nothing else")
    return text
