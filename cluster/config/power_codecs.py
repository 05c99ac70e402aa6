"""What the keys of `[power]` and of a host's `bmc` table may be, and which of them a driver needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from cluster.config.power import (
    BmcDriver,
    BmcSettings,
    StartsBlocked,
    SuspendBy,
    WakeTest,
)
from cluster.formats.reader import Value
from cluster.formats.values import BOOLEAN, TEXT, Codec, Plain, Record, choice, many, number, whole

_MAC = re.compile(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(:\d{1,5})?")
_WORD = re.compile(r"[\x21-\x7e]*")

NEEDED: Mapping[BmcDriver, tuple[str, ...]] = MappingProxyType(
    {
        BmcDriver.REDFISH: ("address", "user", "password_file"),
        BmcDriver.IPMI: ("address", "user", "password_file"),
        BmcDriver.WAKE_ON_LAN: ("mac",),
        BmcDriver.LIBVIRT: (),
        BmcDriver.COMMAND: ("command",),
        BmcDriver.SIMULATED: (),
    }
)
"""Keys without which a driver cannot do anything."""


def _read_mac(value: Value) -> str:
    allowed = 'a hardware address such as "52:54:00:12:34:56"'
    text = value.text(allowed)
    if text and not _MAC.fullmatch(text):
        raise value.refusal(allowed)
    return text


def _read_user(value: Value) -> str:
    # Given to programs as an argument: what could be taken for an option or end the line is no user's name.
    allowed = "a name without spaces that does not begin with -"
    text = value.text(allowed)
    if text.startswith("-") or not _WORD.fullmatch(text) or ":" in text:
        raise value.refusal(allowed + " and has no colon")
    return text


def _read_command(value: Value) -> tuple[str, ...]:
    words = many(TEXT).read(value)
    if words and not words[0].startswith("/"):
        raise value.refusal("a program by its absolute path, and its arguments")
    return words


def _check_bmc(value: Value, bmc: BmcSettings) -> None:
    """Refuse what only several keys together show."""
    for key in NEEDED[bmc.driver]:
        if not getattr(bmc, key):
            raise value.at(key).refusal(f'a value, with driver = "{bmc.driver}"')
    if bmc.driver is BmcDriver.REDFISH:
        _check_url(value.at("address"), bmc)
    elif bmc.address and not _HOST_AND_PORT.fullmatch(bmc.address):
        raise value.at("address").refusal("HOST, or HOST:PORT")
    if bmc.suspend_by is SuspendBy.SSH and bmc.driver is BmcDriver.WAKE_ON_LAN and not bmc.address:
        raise value.at("address").refusal('the host to suspend, with suspend_by = "ssh"')


def _check_url(value: Value, bmc: BmcSettings) -> None:
    allowed = "https://HOST[:PORT], or HOST[:PORT]"
    try:
        parts = urlsplit(bmc.address if "://" in bmc.address else f"https://{bmc.address}")
        sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise value.refusal(allowed, found="a broken URL") from None
    if "@" in parts.netloc:
        raise value.refusal(f"{allowed}; user and password have keys of their own", found="a URL with a user")
    if not sound or parts.scheme not in ("https", "http") or parts.path.strip("/") or parts.query or parts.fragment:
        raise value.refusal(allowed)
    if parts.scheme == "http" and bmc.verify_tls:
        raise value.refusal(f"{allowed}; http:// only with verify_tls = false: the password goes in the clear")


_POSITIVE = number(above=True)

BMC = Record(
    BmcSettings,
    {
        "driver": choice(BmcDriver),
        "address": TEXT,
        "user": Plain(_read_user, str),
        "password_file": TEXT,
        # IPMI 2.0, table 22-20. 0 to 2 leave out the password's check or the sealing.
        "cipher_suite": whole(3, 17),
        "verify_tls": BOOLEAN,
        "ca_file": TEXT,
        "system": TEXT,
        "mac": Plain(_read_mac, str),
        "broadcast": TEXT,
        "suspend_by": choice(SuspendBy),
        "identity_file": TEXT,
        # libvirt refuses less than a minute: virNodeSuspendForDuration.
        "sleep_for_s": number(60.0, 30 * 86400.0),
        "command": Plain(_read_command, list),
    },
    check=_check_bmc,
)
"""Codec of a host's `bmc` table."""

POWER: Mapping[str, Codec[Any]] = MappingProxyType(
    {
        "deadline_s": _POSITIVE,
        "retries": whole(0, 10),
        "sleep_timeout_s": _POSITIVE,
        "wake_timeout_s": _POSITIVE,
        "look_s": _POSITIVE,
        "agent_timeout_s": _POSITIVE,
        "starts_blocked": choice(StartsBlocked),
        "wake_test": choice(WakeTest),
        "wake_test_days": _POSITIVE,
        "wake_tests_per_night": whole(0, 1000),
    }
)
"""Codecs of the `[power]` section."""
