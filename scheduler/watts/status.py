"""What `trimtab status` tells of watts: every host's draw and how it is known, and what today's sleep has saved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cluster import watt_fit
from cluster.config.settings import Settings
from cluster.energy_day import EnergyDay
from cluster.host import Host, PowerState
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from cluster.watt_fit import NoFit
from scheduler.past import energy_json
from scheduler.watts.curves import fitted_hosts
from scheduler.watts.savings import Draw, draws_of, waking_now
from scheduler.watts.watch import Shown, plausible, read_days, reported_watts


def energy_status(
    snapshot: Snapshot, store: Store, settings: Settings, now: datetime, shown: Shown
) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    """Return the cluster's part of the status, and each host's by id. `shown`: what BMCs' meters told last."""
    flags = store.flags()
    reports = {report.host: report for report in store.reports()}
    readings = plausible({**shown.watts, **reported_watts(reports, snapshot)}, snapshot)
    fitted = fitted_hosts(flags) if settings.energy.fitted_curves else frozenset[str]()
    by_us = frozenset(host.id for host in snapshot.hosts if flags.get(f"power:{host.id}") == PowerState.ASLEEP)
    active = store.active_plan()
    draws = {one.host: one for one in draws_of(snapshot, by_us, waking_now(active), readings, fitted)}
    today = next((day for day in read_days(store, 1) if day.day == now.astimezone(UTC).date().isoformat()), None)
    hosts = {}
    for host in snapshot.hosts:
        usage = reports[host.id].observation.usage if host.id in reports else None
        hosts[host.id] = {
            **_draw(draws.get(host.id)),
            "package_watts": None if usage is None else usage.package_watts,
            "curve": _curve(host, fitted),
            "no_fit": _why_no_fit(flags, host.id),
            "meter_trouble": shown.troubles.get(host.id),
        }
    return _cluster(list(draws.values()), today), hosts


def _cluster(draws: list[Draw], today: EnergyDay | None) -> dict[str, object]:
    return {
        "watts": round(sum(one.watts for one in draws), 1),
        "metered_watts": round(sum(one.watts for one in draws if one.metered), 1),
        "hosts_asleep": sum(one.is_asleep for one in draws),
        "today": None if today is None else energy_json(today.whole),
        "currency": None if today is None else today.currency or None,
    }


def _draw(draw: Draw | None) -> dict[str, object]:
    if draw is None:
        return {"watts": None, "metered": False}
    return {"watts": round(draw.watts, 1), "metered": draw.metered}


def _curve(host: Host, fitted: frozenset[str]) -> str:
    if host.id in fitted:
        return "fitted"
    return "configured" if host.power.watts else "assumed"


def _why_no_fit(flags: Mapping[str, str], host: str) -> str | None:
    kept = watt_fit.read(flags.get(watt_fit.PREFIX + host, ""))
    return kept[0].why if kept is not None and isinstance(kept[0], NoFit) else None
