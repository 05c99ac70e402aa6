"""What every configuration key may be: one table of codecs per section of the TOML file, ranges included.

The repeated sections are in `lists.py`.

A key is one line here and one field with its default in `settings.py`; `config/trimtab.toml` documents it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cluster.config.consolidate import PlanBy
from cluster.config.energy import EnergySettings
from cluster.config.power import PowerSettings
from cluster.config.power_codecs import POWER
from cluster.config.settings import (
    CollectSettings,
    CollectSource,
    ConsolidateSettings,
    Encryption,
    GateSettings,
    GuestSettings,
    HostLoad,
    MigrationSettings,
    Mode,
    RateSettings,
    ReserveSettings,
    SchedulerSettings,
    SimulatorSettings,
    StoreSettings,
)
from cluster.formats.reader import Value
from cluster.formats.values import (
    AMOUNT,
    BOOLEAN,
    ID,
    RATIO,
    TEXT,
    WHOLE,
    Codec,
    Plain,
    Record,
    choice,
    number,
    whole,
)
from cluster.guest import Compression, LocalDisks
from cluster.limits import Limits

T = TypeVar("T")

DAEMON_POLICIES = ("repair", "balance", "consolidate")
"""Policies the daemon may follow by itself; `drain` needs a host and is asked for by the verb."""

_NONE = "none"


def or_none(codec: Codec[T]) -> Plain[T | None]:
    """A codec that takes "none", since TOML has no null."""

    def read(value: Value) -> T | None:
        if isinstance(value.raw, str):
            value.choice((_NONE,))
            return None
        return codec.read(value)

    return Plain(read, lambda one: _NONE if one is None else codec.write(one))


def _read_policy(value: Value) -> str:
    if value.raw == "drain":
        raise value.refusal(", ".join(DAEMON_POLICIES) + "; a host is drained with `trimtab drain HOST`")
    return value.choice(DAEMON_POLICIES)


def _read_store_url(value: Value) -> str:
    allowed = "embedded:, unix:/SOCKET, or redis:// or rediss:// followed by [USER@]HOST[:PORT][/DATABASE]"
    text = value.text(allowed)
    if text in ("embedded:", "memory:"):
        return text
    try:
        parts = urlsplit(text)
        host, _port, password = parts.hostname, parts.port, parts.password
    except ValueError:
        # The text is not shown: what cannot be taken apart may hold a password.
        raise value.refusal(allowed, found="a broken URL") from None
    if password is not None:
        raise value.refusal(f"{allowed}, with the password in store.password_file", found="a URL with a password")
    is_redis = parts.scheme in ("redis", "rediss") and bool(host) and re.fullmatch(r"/?\d*", parts.path) is not None
    is_socket = parts.scheme == "unix" and not host and parts.path.startswith("/")
    if not (is_redis or is_socket) or parts.query or parts.fragment:
        raise value.refusal(allowed)
    return text


def _read_engine(value: Value) -> str:
    allowed = '"local" or "dask://HOST:PORT"'
    text = value.text(allowed)
    if text == "local":
        return text
    try:
        parts = urlsplit(text)
        is_dask = parts.scheme == "dask" and bool(parts.hostname) and bool(parts.port)
    except ValueError:
        raise value.refusal(allowed) from None
    if not is_dask or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        raise value.refusal(allowed)
    return text


def _read_absolute(value: Value) -> str:
    text = value.text("an absolute path")
    if not text.startswith("/") or not text.isprintable():
        raise value.refusal("an absolute path")
    return text


_POSITIVE = number(above=True)
_SHARE = number(0.0, 1.0, above=True)
_BELOW_ONE = number(0.0, 0.99)


def _section(cls: type[Any], codecs: Mapping[str, Codec[Any]]) -> Record[Any]:
    return Record(cls, codecs, writes_none=True)


SECTIONS: Mapping[str, Record[Any]] = MappingProxyType(
    {
        "scheduler": _section(
            SchedulerSettings,
            {
                "mode": choice(Mode),
                "policy": Plain(_read_policy, str),
                "level": whole(1, 5),
                "interval_s": _POSITIVE,
                "time_limit_s": _POSITIVE,
                "work_limit": or_none(_POSITIVE),
                "workers": whole(1, 1024),
                "engine": Plain(_read_engine, str),
                "seed": whole(0, 2**31 - 1),
                "plan_expires_s": _POSITIVE,
                "lease_s": _POSITIVE,
            },
        ),
        "gate": _section(
            GateSettings,
            {
                "quiet_start_s": AMOUNT,
                "max_moves": whole(1),
                "least_gain_ratio": RATIO,
                "guest_cooldown_s": AMOUNT,
                "manual_move_cooldown_s": AMOUNT,
                "cluster_cooldown_s": AMOUNT,
                "stale_hosts_ratio": RATIO,
                "quiet_within_s": number(0.0, 86400.0),
                "regret_after_s": AMOUNT,
                "regret_least_ratio": RATIO,
                "regret_limit": whole(1),
                "kill_switch": Plain(_read_absolute, str),
            },
        ),
        "store": _section(
            StoreSettings,
            {
                "url": Plain(_read_store_url, str),
                "user": TEXT,
                "password_file": TEXT,
                "ca_file": TEXT,
                "directory": ID,
                "timeout_s": _POSITIVE,
            },
        ),
        "collect": _section(
            CollectSettings,
            {
                "source": choice(CollectSource),
                "interval_s": _POSITIVE,
                "jitter_ratio": number(0.0, 0.5),
                "deadline_s": _POSITIVE,
                "stale_s": _POSITIVE,
                "report_ttl_s": _POSITIVE,
                "smoothing_s": AMOUNT,
                "host_load": choice(HostLoad),
                "dirty_rate_every_s": _POSITIVE,
                "dirty_rate_period_s": number(1.0, 60.0),
                "recording": TEXT,
            },
        ),
        "limits": _section(
            Limits,
            {
                "cpu": _SHARE,
                "memory": _SHARE,
                "network": _SHARE,
                "disk": _SHARE,
                "vcpus_per_core": number(0.0, 1000.0, above=True),
            },
        ),
        "migration": _section(
            MigrationSettings,
            {
                "mbit_s": or_none(_POSITIVE),
                "out_per_host": whole(1, 1000),
                "in_per_host": whole(1, 1000),
                "per_cluster": whole(1, 10000),
                "urgent_out_per_host": whole(1, 1000),
                "urgent_in_per_host": whole(1, 1000),
                "urgent_per_cluster": whole(1, 10000),
                "cpu_overhead_millicores": WHOLE,
                "least_mib_s": whole(1),
                "timeout_s": _POSITIVE,
                "estimate_mbit_s": _POSITIVE,
                "estimate_dirty_mib_s": AMOUNT,
                "least_converges": RATIO,
                "encryption": choice(Encryption),
                "compression": choice(Compression),
                "parallel_connections": whole(1, 64),
                "auto_converge": BOOLEAN,
                "postcopy": BOOLEAN,
                "downtime_steps": whole(1, 10),
                "local_disks": choice(LocalDisks),
            },
        ),
        "rates": _section(
            RateSettings,
            {
                "guest_per_day": or_none(whole(1)),
                "host_out_per_hour": or_none(whole(1)),
                "host_in_per_hour": or_none(whole(1)),
                "cluster_per_hour": or_none(whole(1)),
            },
        ),
        "consolidate": _section(
            ConsolidateSettings,
            {
                "horizon_s": _POSITIVE,
                # Filling up to the limit itself would be overload at the next breath: the two must not touch.
                "headroom_ratio": number(0.0, 0.99, above=True),
                "wake_headroom_ratio": _BELOW_ONE,
                "reserve_hosts": WHOLE,
                "host_losses": WHOLE,
                "lost_domain": TEXT,
                "plan_by": choice(PlanBy),
                "quantile": number(0.5, 0.999),
                "least_on_s": AMOUNT,
                "least_off_s": AMOUNT,
                "cycles_per_day": WHOLE,
                "spread_s": AMOUNT,
                "scheduler_host": TEXT,
                "move_joules_per_gib": AMOUNT,
            },
        ),
        "energy": _section(
            EnergySettings,
            {"price_per_kwh": AMOUNT, "currency": ID, "meter_every_s": _POSITIVE, "fitted_curves": BOOLEAN},
        ),
        "power": _section(PowerSettings, POWER),
        "guests": _section(GuestSettings, {"overhead_mib": WHOLE}),
        "reserve": _section(
            ReserveSettings, {"cpu_millicores": WHOLE, "memory_mib": WHOLE, "memory_ratio": _BELOW_ONE}
        ),
        "simulator": _section(
            SimulatorSettings,
            {
                "hosts": whole(1, 100_000),
                "guests": whole(0, 1_000_000),
                "seed": whole(0, 2**31 - 1),
                "skew": RATIO,
                "drift_ratio": RATIO,
                "link_mbit_s": _POSITIVE,
                "cluster_file": TEXT,
            },
        ),
    }
)
"""Codec by section."""
