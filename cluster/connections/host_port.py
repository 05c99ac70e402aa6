"""Addresses as a configuration has them: HOST, HOST:PORT, [IPv6] or [IPv6]:PORT."""

from __future__ import annotations


def host_and_port(address: str, default: int) -> tuple[str, int]:
    """Return host, without brackets, and port. The address is of a form that the configuration let through."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = address.partition(":")
    return host, int(port or default)
