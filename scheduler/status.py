"""What `trimtab status` shows, as data ready for JSON: alarms, hosts, the plan under way, the last sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from cluster import power_sight, wake_proof
from cluster.config.settings import Encryption, Settings, WindowKind
from cluster.host import Host
from cluster.limits import Resource, demand, room
from cluster.migration.encryption import in_the_clear
from cluster.plan import Migrate, PlanRecord, PlanState, Step
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from cluster.wake_proof import with_proof
from scheduler.check import check_cluster
from scheduler.power.wake_notes import blocked_line
from scheduler.see import Sight
from scheduler.watts.status import energy_status
from scheduler.watts.watch import Shown


def status_of(
    sight: Sight,
    store: Store,
    settings: Settings,
    sentence: str,
    now: datetime,
    waits: Mapping[str, str] = MappingProxyType({}),
    shown: Shown | None = None,
) -> dict[str, object]:
    """Return the state of things. Ratios are of (capacity - reserved), 0 to 1.

    `waits`: why steps of the plan under way wait for more than their turn or a slot, by step id. `shown`: what BMCs'
    meters showed last.
    """
    snapshot = sight.snapshot
    energy, watts = energy_status(snapshot, store, settings, now, shown or Shown())
    flags = store.flags()
    active = store.active_plan()
    waiting = [record for record in store.plans(20) if record.state is PlanState.WAITING]
    findings = check_cluster(snapshot, settings.limits)
    return {
        "at": now.isoformat(),
        "mode": settings.scheduler.mode.value,
        "paused_by": flags.get("paused"),
        "alarms": [*_alarms(store.unresolved(), snapshot), *_failing(snapshot), *_blocked(flags, snapshot, settings)],
        "findings": [finding.text for finding in findings if finding.code != "unplannable"],
        "warnings": [*sight.warnings, *_in_the_clear(snapshot, settings), *_unproven(snapshot, flags, settings, now)],
        "sentence": sentence,
        "energy": energy,
        "hosts": [{**_host(host, snapshot, flags, sight.stopped), **watts[host.id]} for host in snapshot.hosts],
        "plan": None if active is None else _plan(active, waits),
        "waiting": [
            {"id": record.plan.id, "why": record.plan.why, "moves": len(record.plan.migrations)}
            for record in waiting
            if record.plan.expires_at > now
        ],
    }


def _in_the_clear(snapshot: Snapshot, settings: Settings) -> list[str]:
    hosts = in_the_clear(snapshot.hosts)
    if settings.migration.encryption is Encryption.OFF or not hosts:
        return []
    return [f"no TLS is set up for migrations on {', '.join(hosts)}: see trimtab certs"]


def _alarms(unresolved: Mapping[str, str], snapshot: Snapshot) -> list[str]:
    names = snapshot.guest_by_id
    return [
        f"UNRESOLVED guest {names[guest].title if guest in names else guest}: {text}; nothing touches it until you "
        f"have looked and said 'trimtab resume --guest {guest}'"
        for guest, text in sorted(unresolved.items())
    ]


def _failing(snapshot: Snapshot) -> list[str]:
    """Name failing hosts with guests that cannot leave them by themselves."""
    alarms = []
    for host in snapshot.hosts:
        stuck = [guest for guest in snapshot.guests_by_host[host.id] if host.failing and not guest.movable]
        if stuck:
            named = "; ".join(f"{guest.title}: {guest.why_not or 'marked as not movable'}" for guest in stuck)
            alarms.append(f"FAILING host {host.id} holds guests that cannot be moved: {named}")
    return alarms


def _blocked(flags: Mapping[str, str], snapshot: Snapshot, settings: Settings) -> list[str]:
    """Name hosts that did not wake, or did not sleep, when they were told to; also long silent ones."""
    known = snapshot.host_by_id.keys() | {host.id for host in settings.hosts}
    hosts = sorted(wake_proof.blocked(flags) & known)
    return [f"BLOCKED {blocked_line(host, wake_proof.read(flags, host).reason)}" for host in hosts]


def _unproven(snapshot: Snapshot, flags: Mapping[str, str], settings: Settings, now: datetime) -> list[str]:
    """Name the hosts that would save power and may not, where any would."""
    at_night = any(window.kind is WindowKind.NIGHT for window in settings.windows)
    if not at_night and settings.scheduler.policy != "consolidate":
        return []
    seen = (host for host in snapshot.hosts if host.power.controllable)
    kept = [host.id for host in seen if not with_proof(host, flags, now, settings.power).power.controllable]
    kept = sorted(set(kept) - wake_proof.blocked(flags))
    days = settings.power.wake_test_days
    text = f"{', '.join(kept)}: not put to sleep without a wake test in {days:g} days: trimtab wake-test HOST"
    return [text] if kept else []


def _host(host: Host, snapshot: Snapshot, flags: Mapping[str, str], stopped: frozenset[str]) -> dict[str, object]:
    guests = snapshot.guests_by_host[host.id]
    ratios = {}
    for name, resource in (("cpu_ratio", Resource.CPU), ("memory_ratio", Resource.MEMORY)):
        whole = room(host, resource)
        ratios[name] = round(sum(demand(guest, resource) for guest in guests) / whole, 4) if whole else 0.0
    marks = [
        word
        for word, is_so in (
            ("draining", f"drain:{host.id}" in flags),
            ("cordoned", host.cordoned and f"drain:{host.id}" not in flags),
            ("failing", host.failing),
            ("stopped", host.id in stopped),
        )
        if is_so
    ]
    age_s = None if host.measured_at is None else (snapshot.taken_at - host.measured_at).total_seconds()
    return {
        "id": host.id,
        "guests": len(guests),
        **ratios,
        "power": host.power.state.value,
        **_power(host, snapshot, flags),
        "age_s": None if age_s is None else round(age_s, 1),
        "why_unplannable": snapshot.why_unplannable(host),
        "marks": marks,
    }


def _power(host: Host, snapshot: Snapshot, flags: Mapping[str, str]) -> dict[str, object]:
    """Return what Trimtab asked of a host's power, and what was seen of it: by its driver, or by its own reports."""
    seen = power_sight.observed(flags, host.id)
    reports = host.reachable and not snapshot.is_stale(host)
    state = seen.state if seen is not None else host.power.state if reports else None
    return {
        "power_requested": power_sight.asked_state(flags, host.id).value,
        "power_observed": None if state is None else state.value,
        "power_why": "" if seen is None else seen.why,
    }


def _plan(record: PlanRecord, waits: Mapping[str, str]) -> dict[str, object]:
    return {
        "id": record.plan.id,
        "policy": record.plan.policy,
        "state": record.state.value,
        "why": record.plan.why,
        "steps": [_step(step, record, waits.get(step.id, "")) for step in record.plan.steps],
    }


def _step(step: Step, record: PlanRecord, why_waits: str) -> dict[str, object]:
    written = record.steps.get(step.id)
    about = (
        {"kind": "migrate", "guest": step.guest_name or step.guest, "from": step.source, "to": step.target}
        if isinstance(step, Migrate)
        else {"kind": type(step).__name__.lower(), "host": step.host}
    )
    return {
        "id": step.id,
        **about,
        "state": record.step_state(step.id).value,
        "progress_ratio": 0.0 if written is None else round(written.progress_ratio, 3),
        "detail": why_waits if written is None else written.detail,
    }
