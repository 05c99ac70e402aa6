"""`trimtab certs`: a private CA and host certificates for encrypted migrations, laid out where libvirt expects them."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlsplit

from cluster.config.settings import HostSettings
from cluster.errors import InputError
from scheduler.cli.authority import AUTHORITY, HostNames, check_names, make_authority, make_host
from scheduler.cli.context import Context

DESCRIPTION = (
    "Make a private certificate authority, and a key and certificate for each host, in a directory of your own: "
    "below HOST/etc/pki as libvirt and QEMU look for them, with what to do there in HOST/INSTALL.txt. Hosts are those "
    "of [[hosts]] unless named. What exists is never written over; the authority is used again for further hosts. "
    "Nothing is copied to any host."
)
EXAMPLES = """\
  trimtab certs --out pki                   for every host of the configuration
  trimtab certs --out pki kvm-3=kvm-3.example.org,10.0.8.3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("hosts", metavar="HOST[=NAME,...]", nargs="*", help="a host, and how others reach it")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where to write")
    parser.add_argument("--days", metavar="N", type=int, default=1825, help="how long host certificates hold (1825)")


def run(args: argparse.Namespace, context: Context) -> int:
    """Make what is missing, and say what to do with it."""
    if args.days < 1:
        raise InputError(f"--days: found {args.days}; allowed: a whole number from 1")
    hosts = [_named(text) for text in args.hosts] or [_configured(host) for host in context.settings.hosts]
    if not hosts:
        raise InputError("certs: no host is named and the configuration has no [[hosts]] entry; name hosts")
    for host in hosts:
        check_names(host)
    out: Path = args.out
    made = make_authority(out / AUTHORITY, 2 * args.days)
    files = {host.host: make_host(out / AUTHORITY, out / host.host, host, args.days) for host in hosts}
    lines = [f"{'made' if made else 'used'} the authority in {out / AUTHORITY}: keep its key away from the hosts"]
    lines += [
        f"{host.host}: {len(files[host.host])} files for {', '.join(host.names)}; do there what "
        f"{out / host.host / 'INSTALL.txt'} says"
        for host in hosts
    ]
    context.result(
        "\n".join(lines),
        {
            "authority": str(out / AUTHORITY),
            "made_authority": made,
            "hosts": {host: [str(file) for file in written] for host, written in files.items()},
        },
    )
    return 0


def _named(text: str) -> HostNames:
    host, _, names = text.partition("=")
    return HostNames(host, tuple(dict.fromkeys((host, *(name for name in names.split(",") if name)))))


def _configured(host: HostSettings) -> HostNames:
    """Return every name that the configuration has of a host; libvirt verifies the one that a migration goes to."""
    names = (host.id, urlsplit(host.uri).hostname or "", host.migration_address)
    return HostNames(host.id, tuple(dict.fromkeys(name for name in names if name)))
