"""`trimtab agent`: collectors on one host, pushing what they measure to the store."""

from __future__ import annotations

import argparse
import signal
import socket
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

from cluster.config.lists import LIBVIRT_URI
from cluster.config.settings import HostSettings, Settings
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.errors import InputError, StoreUnavailableError
from cluster.store.open import open_store
from cluster.store.protocol import Store
from collectors.agent import run_agent
from collectors.registry import DEFAULT_URI, make_collector
from executors.power.door import Door
from scheduler.cli.context import Context

DESCRIPTION = (
    "Measure this host and its guests each collect.interval_s and push it to the store. Runs until it is told to stop, "
    "and waits for a libvirt or a store that does not answer."
)
EXAMPLES = """\
  trimtab agent                             this host under its own name
  trimtab agent --host kvm-a1 --set store.url=redis://10.0.0.5/0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--host", metavar="ID", help="id of this host (default: its host name)")
    parser.add_argument(
        "--uri", metavar="URI", type=_uri, help="its libvirt (default: that of [[hosts]], else qemu:///system)"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Measure and push until a signal."""
    settings = context.settings
    host = _host(args.host, settings)
    if args.uri is not None:
        host = replace(host, uri=args.uri)
    collector = make_collector(settings, host, context.clock)
    door = _door(host, settings, context)
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in signals}
    try:
        store = partial(_store, settings, context)
        run_agent(settings, host.id, collector, store, context.clock, stop, context.note, door.look)
    finally:
        door.close()
        for one, handler in before.items():
            signal.signal(one, handler)
    return 0


def _door(host: HostSettings, settings: Settings, context: Context) -> Door:
    """Return what keeps guests from being started while this host goes to sleep, over a connection of its own."""
    deadline_s = settings.power.deadline_s
    connection = LibvirtConnection(host.uri or DEFAULT_URI, deadline_s, context.clock, name=host.id)
    return Door(host.id, connection, context.clock)


def _uri(text: str) -> str:
    if not LIBVIRT_URI.fullmatch(text):
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a libvirt URI such as qemu:///system")
    return text


def _host(name: str | None, settings: Settings) -> HostSettings:
    wanted = name or socket.gethostname()
    if not settings.hosts:
        return HostSettings(wanted)
    by_id = {host.id: host for host in settings.hosts}
    if wanted not in by_id:
        hint = "" if name else " (the name of this machine; say another with --host)"
        raise InputError(f"agent: --host: found {wanted!r}{hint}; allowed: {', '.join(sorted(by_id))}")
    return by_id[wanted]


def _store(settings: Settings, context: Context) -> Store:
    """Open the store; an embedded one belongs to the daemon, and an agent must not start its own in its place."""
    if settings.store.url == "embedded:":
        from cluster.store.embedded import SOCKET

        if not (Path(settings.store.directory) / SOCKET).exists():
            raise StoreUnavailableError(
                f"store embedded: no daemon runs on {settings.store.directory}; start 'trimtab run', or name a shared "
                "Redis as store.url"
            )
    return open_store(settings.store, context.clock)
