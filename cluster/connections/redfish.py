"""A Redfish service (DMTF DSP0266) as a host's power needs it: what state, on, graceful shutdown, watts.

Nothing else can be asked of it: there is no way here to switch a host off hard. TLS is verified unless told otherwise,
redirections are not followed, proxies of the environment not used. A call ends by its deadline, whatever the service
does: it may refuse, answer nonsense, answer byte by byte, or not at all.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cluster.config.power import BmcSettings
from cluster.connections.secret_file import read_secret
from cluster.errors import HostUnreachableError, InputError, StepError
from cluster.host import PowerState

SYSTEMS = "/redfish/v1/Systems"
HTTPS_PORT = 443
MOST_BYTES = 1 << 20
MOST_SAID = 160

GRACEFUL_SHUTDOWN = "GracefulShutdown"
ON = "On"

# ComputerSystem.PowerState (DMTF schema ComputerSystem): Paused is one that runs nothing while it holds its memory.
STATES: Mapping[str, PowerState] = {
    "On": PowerState.ON,
    "Off": PowerState.OFF,
    "PoweringOn": PowerState.WAKING,
    "PoweringOff": PowerState.UNKNOWN,
    "Paused": PowerState.ASLEEP,
}


class RedfishConnection:
    """One host's Redfish service. `host` is how messages name the host; each call opens a connection of its own.

    Every method raises `HostUnreachableError` (no answer by the deadline, no TLS trust, a broken connection) or
    `StepError` (it answered with a refusal, or with what makes no sense), `InputError` for its password's file.
    """

    def __init__(self, host: str, bmc: BmcSettings, deadline_s: float) -> None:
        parts = urlsplit(bmc.address if "://" in bmc.address else f"https://{bmc.address}")
        self._host = host
        self._bmc = bmc
        self._deadline_s = deadline_s
        self._secure = parts.scheme == "https"
        self._name = parts.hostname or ""
        self._port = parts.port
        self._system = ""

    def power_state(self) -> PowerState:
        """Return the state that the service tells; `unknown` for one that it does not know itself."""
        said = self._look().get("PowerState")
        if said is None:
            return PowerState.UNKNOWN
        if not isinstance(said, str) or said not in STATES:
            raise self._nonsense(f"PowerState {_plain(str(said))}")
        return STATES[said]

    def shut_down(self) -> None:
        """Ask the host's operating system to shut down. Return once the service has taken it on."""
        self._reset(GRACEFUL_SHUTDOWN)

    def switch_on(self) -> None:
        """Switch the host on. Return once the service has taken it on."""
        self._reset(ON)

    def watts(self) -> float | None:
        """Return what the host draws, or `None` where the service has no meter that says."""
        links = self._look().get("Links")
        chassis = links.get("Chassis") if isinstance(links, dict) else None
        first = _reference(chassis[0]) if isinstance(chassis, list) and chassis else ""
        if not first:
            return None
        about = self._get(first)
        if path := _reference(about.get("EnvironmentMetrics")):
            reading = self._get(path).get("PowerWatts")
            if isinstance(reading, dict) and (found := _watts(reading.get("Reading"))) is not None:
                return found
        if path := _reference(about.get("Power")):
            controls = self._get(path).get("PowerControl")
            if isinstance(controls, list) and controls and isinstance(controls[0], dict):
                return _watts(controls[0].get("PowerConsumedWatts"))
        return None

    # -- one system --------------------------------------------------------------------------------------------------
    def _look(self) -> dict[str, Any]:
        return self._get(self._path())

    def _path(self) -> str:
        """Return the system's path: as configured, or that of the only one there is."""
        if self._bmc.system:
            return self._bmc.system if self._bmc.system.startswith("/") else f"{SYSTEMS}/{self._bmc.system}"
        if not self._system:
            members = self._get(SYSTEMS).get("Members")
            paths = [_reference(one) for one in members] if isinstance(members, list) else []
            if len(paths) != 1 or not paths[0]:
                raise StepError(
                    f"host {self._host}: its BMC names {len(paths)} systems; set bmc.system in its [[hosts]] to one"
                )
            self._system = paths[0]
        return self._system

    def _reset(self, kind: str) -> None:
        actions = self._look().get("Actions")
        action = actions.get("#ComputerSystem.Reset") if isinstance(actions, dict) else None
        target = action.get("target") if isinstance(action, dict) else None
        if not isinstance(action, dict) or not isinstance(target, str) or not target.startswith("/"):
            raise StepError(f"host {self._host}: its BMC has no action ComputerSystem.Reset: it cannot do {kind}")
        allowed = action.get("ResetType@Redfish.AllowableValues")
        if isinstance(allowed, list) and kind not in allowed:
            raise StepError(
                f"host {self._host}: its BMC cannot do {kind} (it can do {', '.join(map(str, allowed)) or 'nothing'}); "
                "nothing else is tried"
            )
        self._ask("POST", target, {"ResetType": kind})

    # -- one call ----------------------------------------------------------------------------------------------------
    def _get(self, path: str) -> dict[str, Any]:
        body = self._ask("GET", path, None)
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise self._nonsense("what is no JSON") from None
        if not isinstance(found, dict):
            raise self._nonsense("no JSON object")
        return found

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None) -> bytes:
        password = read_secret(f"host {self._host}: bmc.password_file", self._bmc.password_file)
        token = base64.b64encode(f"{self._bmc.user}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Accept": "application/json", "OData-Version": "4.0"}
        payload = None if body is None else json.dumps(body).encode()
        if payload is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection()
        # Time-outs of sockets are per read: whoever answers byte by byte is cut off by this.
        opened: list[socket.socket] = []
        watchdog = threading.Timer(self._deadline_s, _cut, (opened,))
        watchdog.daemon = True
        watchdog.start()
        try:
            self._connect(connection, opened)
            connection.request(method, path, body=payload, headers=headers)
            answer = connection.getresponse()
            said = answer.read(MOST_BYTES + 1)
            status = answer.status
            if answer.length and len(said) <= MOST_BYTES:
                raise http.client.IncompleteRead(said, answer.length)
        except ssl.SSLCertVerificationError as error:
            raise HostUnreachableError(
                f"host {self._host}: its BMC's certificate is not trusted: {error.verify_message}; set bmc.ca_file to "
                "its authority, or bmc.verify_tls to false"
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise HostUnreachableError(
                f"host {self._host}: its BMC {self._name} does not answer within {self._deadline_s:g} s: {_plain(why)}"
            ) from None
        finally:
            watchdog.cancel()
            connection.close()
        if len(said) > MOST_BYTES:
            raise self._nonsense(f"more than {MOST_BYTES} bytes")
        if status in (401, 403):
            raise StepError(
                f"host {self._host}: its BMC refuses user {self._bmc.user} ({status}): look at bmc.user, "
                "bmc.password_file and at its rights there"
            )
        if not 200 <= status < 300:
            raise StepError(f"host {self._host}: its BMC refuses {method} {path} ({status}){_because(said)}")
        return said

    def _connection(self) -> http.client.HTTPConnection:
        port = HTTPS_PORT if self._secure else http.client.HTTP_PORT
        connection = http.client.HTTPConnection(self._name, self._port or port, timeout=self._deadline_s)
        connection.default_port = port  # which a request does not name
        return connection

    def _connect(self, connection: http.client.HTTPConnection, opened: list[socket.socket]) -> None:
        """Connect, with all that is opened known to the watchdog before anything is waited for."""
        plain = socket.create_connection((self._name, connection.port), self._deadline_s)
        opened.append(plain)
        connection.sock = plain
        if self._secure:
            context = self._context()
            sealed = context.wrap_socket(plain, server_hostname=self._name, do_handshake_on_connect=False)
            opened.append(sealed)
            connection.sock = sealed
            sealed.do_handshake()

    def _context(self) -> ssl.SSLContext:
        if not self._bmc.verify_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            return ssl.create_default_context(cafile=self._bmc.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"host {self._host}: bmc.ca_file {self._bmc.ca_file} cannot be used: {error}; name a file of "
                "certificates in PEM form"
            ) from None

    def _nonsense(self, what: str) -> StepError:
        return StepError(f"host {self._host}: its BMC answers with {what}: that is not understood")


def _cut(opened: list[socket.socket]) -> None:
    for one in opened:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _reference(value: object) -> str:
    """Return the path that a link names on the service itself, or nothing."""
    path = value.get("@odata.id") if isinstance(value, dict) else None
    return path if isinstance(path, str) and path.startswith("/") and path.isprintable() and " " not in path else ""


def _watts(value: object) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 <= value < 1e6 else None  # type: ignore[arg-type,operator]  # a number by now


def _because(said: bytes) -> str:
    """Return what a Redfish error says for people (DSP0266, error responses), on one line."""
    try:
        error = json.loads(said)["error"]
        notes = error.get("@Message.ExtendedInfo") or [{}]
        text = notes[0].get("Message") or error.get("message") or ""
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return ""
    return f": {_plain(str(text))}" if text else ""


def _plain(text: str) -> str:
    """Return what an outsider said fit for one line of a log."""
    flat = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(flat.split())[:MOST_SAID]
