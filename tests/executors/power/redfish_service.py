"""A small Redfish service on loopback for tests: one host's power, with TLS, a password, and faults on demand."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

USER, PASSWORD = "trimtab", "not for logs 7431"
SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"


@dataclass
class Service:
    """What the service is like: its host's power, and how it behaves. `asked` are the resets that it was told."""

    state: str = "On"
    allowed: list[str] | None = field(default_factory=lambda: ["On", "ForceOff", "GracefulShutdown", "ForceRestart"])
    obeys: bool = True
    refuses: int = 0
    body: bytes | None = None
    hangs_s: float = 0.0
    drips: bool = False
    environment_metrics: bool = True
    watts: object = 123.5
    systems: int = 1
    asked: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""
    close: Any = None


def certificate(directory: Path) -> tuple[Path, Path]:
    """Make a key and a certificate for 127.0.0.1, its own authority."""
    key, cert = directory / "key.pem", directory / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=bmc", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(words, check=True, capture_output=True)
    return key, cert


def serve(service: Service, tls: tuple[Path, Path] | None) -> Service:
    """Serve on a free port of loopback until `service.close()`."""

    class Handler(BaseHTTPRequestHandler):
        wbufsize = 1 << 16  # head and body in one packet: the second would wait for the first one's receipt

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self._serve({})

        def do_POST(self) -> None:
            self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _serve(self, given: dict[str, str]) -> None:
            service.paths.append(f"{self.command} {self.path}")
            time.sleep(service.hangs_s)
            token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {token}":
                self._answer(401, {"error": {"message": "who are you"}})
            elif service.refuses:
                note = {"Message": "Power control is\nlocked by another user"}
                self._answer(service.refuses, {"error": {"code": "x", "@Message.ExtendedInfo": [note]}})
            elif self.path == RESET:
                service.asked.append(given["ResetType"])
                if service.obeys:
                    service.state = {"On": "On", "GracefulShutdown": "Off"}[given["ResetType"]]
                self._answer(204, None)
            else:
                self._answer(200, _resource(service, self.path))

        def _answer(self, status: int, body: object) -> None:
            text = b"" if body is None else json.dumps(body).encode()
            if service.body is not None and status == 200:
                text = service.body
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if not service.drips:
                self.wfile.write(text)
                return
            for one in text:
                time.sleep(0.1)
                self.wfile.write(bytes([one]))
                self.wfile.flush()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls[1], tls[0])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    service.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"

    def close() -> None:
        server.shutdown()
        server.server_close()

    service.close = close
    return service


def _resource(service: Service, path: str) -> object:
    link = {"@odata.id": "/redfish/v1/Chassis/1"}
    if path == "/redfish/v1/Systems":
        return {"Members": [{"@odata.id": f"/redfish/v1/Systems/{one + 1}"} for one in range(service.systems)]}
    if path == SYSTEM:
        reset: dict[str, object] = {"target": RESET}
        if service.allowed is not None:
            reset["ResetType@Redfish.AllowableValues"] = service.allowed
        return {
            "PowerState": service.state,
            "Links": {"Chassis": [link]},
            "Actions": {"#ComputerSystem.Reset": reset},
        }
    if path == link["@odata.id"]:
        about: dict[str, object] = {"Power": {"@odata.id": f"{path}/Power"}}
        if service.environment_metrics:
            about["EnvironmentMetrics"] = {"@odata.id": f"{path}/EnvironmentMetrics"}
        return about
    if path.endswith("/EnvironmentMetrics"):
        return {"PowerWatts": {"Reading": service.watts}}
    return {"PowerControl": [{"PowerConsumedWatts": service.watts}]}
