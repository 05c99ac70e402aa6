"""Telling systemd how the daemon is (`sd_notify`): a datagram to the socket it names. Nothing where there is none."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1` or `STOPPING=1`; silently nothing when not run by systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            return  # systemd is gone or not listening: nothing depends on being heard
