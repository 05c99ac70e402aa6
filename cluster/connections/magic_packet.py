"""Wake-on-LAN: the packet that wakes a network card."""

from __future__ import annotations

import socket

from cluster.errors import StepError

PORT = 9  # "discard": nobody answers, whoever gets it
TIMES = 3  # nothing tells whether one arrived


def magic_packet(mac: str) -> bytes:
    """Return six bytes of ones and sixteen times the address (AMD, Magic Packet Technology, 20213)."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "").replace("-", "")) * 16


def send_magic_packet(host: str, mac: str, broadcast: str) -> None:
    """Send it to a broadcast address. `StepError` when it cannot be sent; nothing tells whether it arrived."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for _ in range(TIMES):
                sender.sendto(magic_packet(mac), (broadcast, PORT))
    except OSError as error:
        raise StepError(f"host {host}: no packet can be sent to {broadcast}: {error.strerror or error}") from None
