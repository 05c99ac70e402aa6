"""What the status and a plan tell of watts, kWh and money, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports import units


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """Return what the status says of power now, of today's saving, and of how far curves can be trusted."""
    energy: Mapping[str, Any] | None = status.get("energy")
    if not energy or not energy["watts"]:
        return []
    metered = energy["metered_watts"] / energy["watts"]
    how = "by the hosts' curves" if not metered else f"{units.percent(metered)} of it metered"
    parts = [f"power now {units.watts(energy['watts'])}, {how}"]
    if energy["hosts_asleep"]:
        parts.append(f"{units.count(energy['hosts_asleep'], 'host')} asleep")
    today = energy["today"]
    if today and (today["asleep_host_h"] or today["saved_kwh"]):
        saved, money = today["saved_kwh"], today["money_saved"]
        worth = f" ({abs(money):.2f} {energy['currency']})" if energy["currency"] else ""
        what = "saved" if saved >= 0 else "more spent on moves and wakes than saved"
        parts.append(f"today {units.kwh(abs(saved))}{worth} {what}")
    hosts: Sequence[Mapping[str, Any]] = status.get("hosts", ())
    lines = ["; ".join(parts)]
    if fitted := [host["id"] for host in hosts if host.get("curve") == "fitted"]:
        lines.append(f"power curves fitted to their own meters: {_some(fitted)}")
    if assumed := [host["id"] for host in hosts if host.get("curve") == "assumed"]:
        lines.append(f"no power curve known, a common server's assumed: {_some(assumed)}")
    if troubled := [host["id"] for host in hosts if host.get("meter_trouble")]:
        first = next(host["meter_trouble"] for host in hosts if host.get("meter_trouble"))
        lines.append(f"no reading of the power meter of {_some(troubled)}: {first}")
    alone = [host["package_watts"] for host in hosts if host.get("package_watts") and not host.get("metered")]
    if alone:
        text = f"RAPL shows {units.watts(sum(alone))} on {units.count(len(alone), 'host')}"
        lines.append(f"{text}: of CPU packages and their memory alone, not of whole machines, so not counted")
    return lines


def plan_line(note: object) -> str:
    """Return what a plan's `x_energy` says as one sentence, or nothing where it is none of ours."""
    if not isinstance(note, Mapping):
        return ""
    try:
        hours = units.duration(float(note["horizon_s"]))
        saved, cost = float(note["saved_kwh"]), float(note["taken_off_kwh"])
        money = "" if note["currency"] is None else f" ({abs(float(note['money_saved'])):.2f} {note['currency']})"
    except (KeyError, TypeError, ValueError):
        return ""
    verb = "saves" if saved >= 0 else "takes"
    less = f", {units.kwh(cost)} for moving, sleeping and waking counted" if cost else ""
    return f"over {hours} it {verb} {units.kwh(abs(saved))}{units.plain(money)}{less}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
