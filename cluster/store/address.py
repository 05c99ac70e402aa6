"""Where a Redis store is: `store.url` and its neighbours in the configuration, checked. Secrets stay in files."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cluster.config.settings import StoreSettings
from cluster.errors import InputError
from cluster.store.server import RedisServer

FORMS = "embedded: | redis://[user@]host:port/db | rediss://[user@]host:port/db | unix:/path/to/socket | memory:"
_PORT = 6379


def redis_server(settings: StoreSettings) -> RedisServer:
    """Return the server that the settings name, not connected yet. `InputError` for settings that cannot be."""
    url = urlsplit(settings.url)
    options: dict[str, Any] = {}
    if url.scheme == "unix":
        options["unix_socket_path"] = url.path
        shown = f"unix:{url.path}"
        if not url.path.startswith("/"):
            raise InputError(f"store.url: found {shown}; a socket needs its whole path: unix:/path/to/socket")
    else:
        options |= _tcp(url)
        shown = f"{url.scheme}://{_shown_host(url)}:{options['port']}/{options['db']}"
    if url.password is not None:
        raise InputError(
            f"store.url of {shown} holds a password; put it into a file and name that as store.password_file"
        )
    options |= _login(settings, url.username or "")
    if url.scheme == "rediss":
        options |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
        if settings.ca_file:
            options["ssl_ca_certs"] = str(_file("store.ca_file", settings.ca_file))
    elif settings.ca_file:
        raise InputError(f"store.ca_file is set, but {shown} is not encrypted; use rediss:// or clear store.ca_file")
    return RedisServer(shown, settings.timeout_s, options)


def _tcp(url: SplitResult) -> dict[str, Any]:
    try:
        port = url.port or _PORT
    except ValueError as error:
        raise InputError(f"store.url: the port is no number from 1 to 65535; allowed: {FORMS}") from error
    number = url.path.strip("/") or "0"
    if url.scheme not in ("redis", "rediss") or not url.hostname or url.query or url.fragment:
        raise InputError(f"store.url: found {_without_password(url)}; allowed: {FORMS}")
    if not (number.isascii() and number.isdigit()):
        raise InputError(f"store.url: found database {number}; allowed: a number, as in redis://host:{port}/0")
    return {"host": url.hostname, "port": port, "db": int(number)}


def _login(settings: StoreSettings, user: str) -> dict[str, Any]:
    if user and settings.user and user != settings.user:
        raise InputError(f"store.url names user {user} and store.user names {settings.user}; keep one of them")
    user = user or settings.user
    if not settings.password_file:
        if user:
            raise InputError(
                f"store.user is {user}, but store.password_file is not set; name the file with the password"
            )
        return {}
    path = _file("store.password_file", settings.password_file)
    if path.stat().st_mode & stat.S_IRWXO:
        raise InputError(f"store.password_file {path} is open to every user of this machine; run: chmod o= {path}")
    password = _read(path).strip("\r\n")
    if not password:
        raise InputError(f"store.password_file {path} is empty; write the password into it")
    return {"password": password} | ({"username": user} if user else {})


def _file(key: str, name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{key}: there is no file {path}; name the file to read")
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"store.password_file {path} cannot be read: {error}; check its owner and mode") from error


def _shown_host(url: SplitResult) -> str:
    host = url.hostname or ""
    return f"[{host}]" if ":" in host else host


def _without_password(url: SplitResult) -> str:
    """Return a URL as it can be shown."""
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl() or "nothing"
