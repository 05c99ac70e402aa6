"""What `trimtab doctor` looks at: one function per matter, each returning findings that say what to do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from cluster.clock import Clock
from cluster.config.settings import CollectSource, Encryption, HostSettings, Mode, Settings
from cluster.errors import TrimtabError
from cluster.store.protocol import Store
from scheduler.cli.matter import Grade, Matter
from scheduler.cli.power_diagnosis import power_matters

CLOCK_AHEAD_S = 2.0


def diagnose(settings: Settings, clock: Clock, open_now: Callable[[], Store]) -> Iterator[Matter]:
    """Look at everything, one matter after the other. `open_now` opens the store; it is closed here."""
    yield from _programs(settings)
    flags: Mapping[str, str] = {}
    try:
        store = open_now()
        try:
            store.ping()
            flags = store.flags()
            yield from _store(store, settings)
            yield from _reports(store, settings, clock)
            yield from _people(store)
            yield from _certificates(store, settings)
        finally:
            store.close()
    except TrimtabError as error:
        yield Matter(Grade.UNREACHABLE, "store", str(error), "start it, or set store.url to one that answers")
    yield from _hosts(settings, clock)
    yield from power_matters(settings, clock, flags)
    yield from _gate(settings)
    yield from _encryption(settings)


def _programs(settings: Settings) -> Iterator[Matter]:
    versions = [f"Python {sys.version.split()[0]}"]
    for name in ("trimtab", "libvirt-python", "ortools", "redis"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            if name != "trimtab":
                yield Matter(Grade.UNREACHABLE, "packages", f"{name} is not installed", "run: make setup")
    yield Matter(Grade.FINE, "packages", ", ".join(versions))
    if settings.store.url == "embedded:" and shutil.which("redis-server") is None:
        text = "redis-server is not here, and store.url is embedded:"
        yield Matter(Grade.UNREACHABLE, "redis-server", text, "run: apt-get install redis-server")


def _store(store: Store, settings: Settings) -> Iterator[Matter]:
    where = settings.store.directory if settings.store.url == "embedded:" else ""
    yield Matter(
        Grade.FINE, "store", f"{_without_password(settings.store.url)} answers{f' in {where}' if where else ''}"
    )
    for problem in store.durability_problems():
        what, _, todo = problem.removeprefix("store ").partition("; ")
        yield Matter(Grade.REFUSES, "store", what, todo or "set it in the server's configuration")


def _without_password(url: str) -> str:
    scheme, slashes, rest = url.partition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


def _reports(store: Store, settings: Settings, clock: Clock) -> Iterator[Matter]:
    """How fresh each host's figures are, and whether its clock is right."""
    now = clock.now()
    by_host = {report.host: report for report in store.reports()}
    expected = [host.id for host in settings.hosts] or sorted(by_host)
    agents = settings.collect.source is CollectSource.AGENTS
    todo = "start 'trimtab agent' there" if agents else "start 'trimtab run', which measures"
    if not expected:
        grade = Grade.UNREACHABLE if agents else Grade.REMARK
        yield Matter(grade, "reports", "no host has reported", todo.replace(" there", " on the hosts"))
    fresh = 0
    for host in expected:
        report = by_host.get(host)
        if report is None:
            yield Matter(Grade.UNREACHABLE if agents else Grade.REMARK, host, "has never reported", todo)
            continue
        age_s = (now - report.observation.taken_at).total_seconds()
        if age_s > settings.collect.stale_s:
            text = f"its last report is {age_s:.0f} s old, stale after {settings.collect.stale_s:g} s"
            yield Matter(Grade.UNREACHABLE if agents else Grade.REMARK, host, text, todo)
        elif age_s < -CLOCK_AHEAD_S:
            text = f"its clock is {-age_s:.0f} s ahead of this machine's"
            yield Matter(Grade.REFUSES, host, text, "let both keep time by NTP")
        else:
            fresh += 1
        for warning in report.observation.warnings:
            yield Matter(Grade.REMARK, host, warning)
    if fresh:
        yield Matter(Grade.FINE, "reports", f"{fresh} of {len(expected)} hosts report in time")


def _people(store: Store) -> Iterator[Matter]:
    flags = store.flags()
    if (by := flags.get("paused")) is not None:
        yield Matter(Grade.REFUSES, "pause", f"paused by {by}", "run: trimtab resume")
    for guest, text in store.unresolved().items():
        todo = f"look where it runs, then run: trimtab resume --guest {guest}"
        yield Matter(Grade.REFUSES, guest, f"unresolved: {text}", todo)
    daemon = "a daemon leads" if store.status() is not None else "no daemon leads"
    yield Matter(Grade.FINE if store.status() is not None else Grade.REMARK, "daemon", daemon, "")


def _hosts(settings: Settings, clock: Clock) -> Iterator[Matter]:
    """Ask every configured host's libvirt, all at once; none waits for a silent one."""
    if settings.collect.source in (CollectSource.SIMULATED, CollectSource.RECORDED):
        yield Matter(Grade.FINE, "hosts", f"collect.source is {settings.collect.source}: no libvirt is needed")
        return
    asked = [host for host in settings.hosts if host.uri]
    if not settings.hosts:
        text = "no [[hosts]] entry: nothing can be moved"
        yield Matter(Grade.REFUSES, "hosts", text, "give each host's id and libvirt uri in the configuration")
    for host in settings.hosts:
        if not host.uri:
            yield Matter(
                Grade.REFUSES, host.id, "has no libvirt uri: it cannot be acted on", "set uri in its [[hosts]]"
            )
    with ThreadPoolExecutor(max(1, min(32, len(asked)))) as pool:
        yield from pool.map(lambda host: _ask(host, settings, clock), asked)


def _ask(host: HostSettings, settings: Settings, clock: Clock) -> Matter:
    from cluster.connections.libvirt_connection import LibvirtConnection

    connection = LibvirtConnection(host.uri, settings.collect.deadline_s, clock, name=host.id)
    try:
        version, name = connection.call("say its version", lambda it: (it.getLibVersion(), it.getHostname()))
    except TrimtabError as error:
        return Matter(Grade.UNREACHABLE, host.id, str(error), f"try: virsh -c {host.uri} version")
    finally:
        connection.close()
    shown = f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
    return Matter(Grade.FINE, host.id, f"libvirt {shown} answers as {name} at {host.uri}")


def _gate(settings: Settings) -> Iterator[Matter]:
    switch = Path(settings.gate.kill_switch)
    if switch.exists():
        yield Matter(Grade.REFUSES, "kill switch", f"{switch} is there", f"run: rm {switch}")
    if settings.scheduler.mode is not Mode.ACT:
        text = f"scheduler.mode is {settings.scheduler.mode}: nothing is moved by itself"
        yield Matter(Grade.REMARK, "mode", text, "set it to act when you trust the plans")


def _encryption(settings: Settings) -> Iterator[Matter]:
    if settings.migration.encryption is not Encryption.REQUIRED:
        text = f"migration.encryption is {settings.migration.encryption}: memory may cross the network in the clear"
        yield Matter(Grade.REMARK, "encryption", text, "set up TLS between the hosts and set it to required")


def _certificates(store: Store, settings: Settings) -> Iterator[Matter]:
    """Which hosts' migrations cannot be encrypted, and of which nobody knows."""
    chosen = settings.migration.encryption
    if chosen is Encryption.OFF or settings.collect.source in (CollectSource.SIMULATED, CollectSource.RECORDED):
        return
    known = {report.host: report.observation.host.migration_tls for report in store.reports()}
    known |= {host.id: host.migration_tls for host in settings.hosts if host.migration_tls is not None}
    if missing := sorted(host for host, tls in known.items() if tls is False):
        required = chosen is Encryption.REQUIRED
        what = "no guest can leave or come" if required else "what leaves or comes is not encrypted"
        text = f"no TLS is set up for migrations on {', '.join(missing)}: {what}"
        yield Matter(Grade.REFUSES if required else Grade.REMARK, "certificates", text, "run: trimtab certs --out DIR")
    if unknown := sorted(host for host, tls in known.items() if tls is None):
        todo = "run an agent there that may read /etc/libvirt/qemu.conf, or set migration_tls in its [[hosts]]"
        text = f"whether migrations of {', '.join(unknown)} can be encrypted is not known"
        yield Matter(Grade.REMARK, "certificates", text, todo)
