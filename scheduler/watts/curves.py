"""Power curves fitted to hosts' own meters, as the store's flags keep them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cluster import watt_fit
from cluster.host import Host
from cluster.watt_fit import WattFit


def fit_of(flags: Mapping[str, str], host: str) -> WattFit | None:
    """Return a host's fitted curve, where there is a good one."""
    kept = watt_fit.read(flags.get(watt_fit.PREFIX + host, ""))
    return kept[0] if kept is not None and isinstance(kept[0], WattFit) else None


def fitted_hosts(flags: Mapping[str, str]) -> frozenset[str]:
    """Return the hosts with a fitted curve."""
    names = (flag.removeprefix(watt_fit.PREFIX) for flag in flags if flag.startswith(watt_fit.PREFIX))
    return frozenset(name for name in names if fit_of(flags, name) is not None)


def with_fitted_curve(host: Host, flags: Mapping[str, str]) -> Host:
    """Return the host with its fitted curve in place of the configured one, where there is a good one."""
    found = fit_of(flags, host.id)
    return host if found is None else replace(host, power=replace(host.power, watts=found.curve))
