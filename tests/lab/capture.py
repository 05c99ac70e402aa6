"""A capture of what a lab host sends, searched for some bytes while it runs: nothing of it is kept."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from tests.lab.hosts import LabHost
from tests.lab.network import HOST_INTERFACE
from tests.lab.processes import HostProcess, LabError

_READY = "ready"
_EVERY_PROTOCOL = 3  # ETH_P_ALL: a socket for one protocol does not see what the host itself sends
_RECEIVE_BUFFER_FORCE = 33  # SO_RCVBUFFORCE, which Python does not name

# Payloads are joined flow by flow, so that what is looked for may lie across two packets.
_PROGRAM = f"""
import select, socket, struct, sys
wanted = bytes.fromhex(sys.argv[1])
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs({_EVERY_PROTOCOL}))
sniffer.setsockopt(socket.SOL_SOCKET, {_RECEIVE_BUFFER_FORCE}, 1 << 26)
sniffer.bind(("{HOST_INTERFACE}", {_EVERY_PROTOCOL}))
print("{_READY}", flush=True)
tails, found, total = {{}}, 0, 0
while True:
    readable, _, _ = select.select([sniffer, sys.stdin], [], [])
    if sniffer in readable:
        frame, address = sniffer.recvfrom(1 << 18)
        if address[2] != socket.PACKET_OUTGOING or frame[12:14] != b"\\x08\\x00" or frame[23] != socket.IPPROTO_TCP:
            continue
        head = 14 + 4 * (frame[14] & 15)
        payload = frame[head + 4 * (frame[head + 12] >> 4):14 + struct.unpack("!H", frame[16:18])[0]]
        flow = frame[26:34] + frame[head:head + 4]
        stream = tails.get(flow, b"") + payload
        found += stream.count(wanted)
        tails[flow] = stream[1 - len(wanted):]
        total += len(payload)
    elif not sys.stdin.readline():
        break
print(found, total, flush=True)
"""


class Capture:
    """Counts how often `wanted` leaves a host in TCP payloads. After its end: `found`, and `total` bytes looked at."""

    def __init__(self, host: LabHost, wanted: bytes) -> None:
        self._host = host
        self._wanted = wanted
        self._program: HostProcess | None = None
        self.found = 0
        self.total = 0

    def __enter__(self) -> Self:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._program = self._host.run([sys.executable, "-c", _PROGRAM, self._wanted.hex()], **pipes)
        assert self._program.stdout is not None
        if self._program.stdout.readline().strip() != _READY:
            raise LabError(f"{self._host.name}: the capture did not begin")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._program is not None and self._program.stdin is not None and self._program.stdout is not None
        self._program.stdin.close()
        said = self._program.stdout.readline().split()
        self._program.wait(10)
        if len(said) == 2:
            self.found, self.total = int(said[0]), int(said[1])
