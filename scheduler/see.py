"""From reports to one snapshot: what is measured, what only the configuration knows, what people asked for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from cluster.config.settings import HostSettings, ReserveSettings, Settings
from cluster.formats.cluster_file import snapshot_id
from cluster.formats.metadata_rules import metadata_rules
from cluster.guest import Guest
from cluster.host import Host, PowerState, Reserved
from cluster.plan import PlanRecord, StepState
from cluster.power_sight import effective_state, power_steps, with_kept
from cluster.report import Report
from cluster.rules import Rule
from cluster.rules.contradictions import find_contradictions
from cluster.rules.proxlb import proxlb_rules
from cluster.snapshot import Snapshot
from scheduler.watts.curves import with_fitted_curve

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sight:
    """The snapshot, and what a person should know of how it came about: hosts never seen, guests seen twice, warnings.

    `stopped` are the hosts on which the kill switch is set, `doubled` the guests seen on two hosts.
    """

    snapshot: Snapshot
    warnings: tuple[str, ...]
    stopped: frozenset[str] = frozenset()
    doubled: frozenset[str] = frozenset()


class KeptHosts:
    """Hosts as they were merged from their reports, for as long as settings and flags stay what they were."""

    def __init__(self) -> None:
        self._known: tuple[Settings | None, Mapping[str, str], dict[str, tuple[Report, Host]]] = None, {}, {}

    def under(self, settings: Settings, flags: Mapping[str, str]) -> dict[str, tuple[Report, Host]]:
        """Return the hosts kept under these settings and flags, by id, to be added to."""
        if self._known[0] is not settings or self._known[1] != flags:
            self._known = settings, flags, {}
        return self._known[2]


def build_snapshot(
    reports: Iterable[Report],
    settings: Settings,
    flags: Mapping[str, str],
    now: datetime,
    active: PlanRecord | None = None,
    unreachable: Mapping[str, str] | None = None,
    *,
    kept_hosts: KeptHosts | None = None,
    named: bool = True,
) -> Sight:
    """Merge the latest report of each host with its configuration and the operators' flags.

    With `[[hosts]]` configured only those count; a host that never reported is left out, with a warning. `unreachable`
    maps hosts that do not answer now to the reason. A guest of the `active` plan is where its running step began, or
    where its last step brought it, until a report taken after that says otherwise. A guest seen on two hosts without
    that, or whose place does not report, is taken where it was seen last, and is not movable meanwhile. A host whose
    reports come from the future by more than `stale_s` counts as unreachable: they would never grow old.

    With `kept_hosts` a host is merged once per report. Without `named` the snapshot has no id: that takes as long as
    the rest, and only a plan goes by it.
    """
    by_host = {report.host: report for report in with_kept(reports, flags)}
    configured = {host.id: host for host in settings.hosts} or {one: HostSettings(one) for one in by_host}
    silent = unreachable or {}
    warnings = [f"host {one} has never reported" for one in configured if one not in by_host]
    warnings += [f"host {one} reports but is not configured: left out" for one in by_host if one not in configured]
    hosts: list[Host] = []
    guests: list[tuple[datetime, Guest]] = []
    sensed: dict[str, int] = {}
    merged = (kept_hosts or KeptHosts()).under(settings, flags)
    stepping = power_steps(active)
    for one in sorted(set(configured) & set(by_host)):
        seen = by_host[one].observation
        warnings += [f"host {one}: {text}" for text in seen.warnings]
        if one not in merged or merged[one][0] is not by_host[one]:
            host = merge_host(seen.host, configured[one], settings.reserve, flags)
            host = with_fitted_curve(host, flags) if settings.energy.fitted_curves else host
            merged[one] = by_host[one], replace(host, measured_at=seen.taken_at)
        host = merged[one][1]
        ahead_s = (seen.taken_at - now).total_seconds()
        if ahead_s > settings.collect.interval_s:
            warnings.append(f"host {one}: its clock is {ahead_s:.0f} s ahead of ours: let both follow NTP")
        answers = one not in silent and ahead_s <= settings.collect.stale_s
        is_fresh = answers and -ahead_s <= settings.collect.stale_s
        state = effective_state(one, seen.host.power.state, is_fresh, flags, stepping.get(one, ()))
        if state is not host.power.state:
            host = replace(host, power=replace(host.power, state=state))
        hosts.append(host if answers else replace(host, reachable=False))
        if seen.host.failing and f"fail:{one}" not in flags:
            sensed[one] = len(seen.guests)
        guests += [(seen.taken_at, guest) for guest in seen.guests]
    doubted = doubted_sensors(sensed)
    hosts = [replace(host, failing=False) if host.id in doubted else host for host in hosts]
    warnings += [
        f"host {one}: its sensors say that it fails, as do those of another; only one host is taken as failing on "
        f"sensors alone: look at it, and say 'trimtab fail {one}' if it does"
        for one in doubted
    ]
    known = {host.id for host in hosts}
    placed, doubled = _place(guests, known, _moving_from(active), _arrived(active))
    warnings += [f"guest {placed[guest].title} is seen on two hosts" for guest in doubled]
    kept = tuple(placed[guest] for guest in sorted(placed))
    rules, problems = gather_rules(settings.rules, kept)
    warnings += problems
    warnings += [found.text for found in find_contradictions(hosts, kept, rules)]
    snapshot = Snapshot("", now, tuple(hosts), kept, rules, settings.collect.stale_s)
    stopped = frozenset(one for one, report in by_host.items() if report.observation.kill_switch)
    if named:
        snapshot = replace(snapshot, id=snapshot_id(snapshot))
    return Sight(snapshot, tuple(warnings), stopped, frozenset(doubled))


def doubted_sensors(sensed: Mapping[str, int]) -> tuple[str, ...]:
    """Return the hosts not to be taken as failing, of those that sensors alone say fail, with their number of guests.

    The one believed is the emptiest, so that the one being emptied stays it.
    """
    return tuple(sorted(sensed, key=lambda host: (sensed[host], host))[1:])


def gather_rules(configured: Iterable[Rule], guests: tuple[Guest, ...]) -> tuple[tuple[Rule, ...], list[str]]:
    """Return the rules of the configuration, of guests' metadata and of ProxLB's tags; of one name the first counts."""
    carried, problems = metadata_rules(guests)
    warnings = list(problems)
    rules: dict[str, Rule] = {}
    for rule in (*configured, *carried, *proxlb_rules(guests)):
        if rule.name in rules:
            warnings.append(f"rule {rule.title} is left out: another rule has its name")
        else:
            rules[rule.name] = rule
    return tuple(rules.values()), warnings


def merge_host(seen: Host, configured: HostSettings, reserve: ReserveSettings, flags: Mapping[str, str]) -> Host:
    """Return the host as measured, with what only the configuration and the operators know laid over it."""
    state = seen.power.state
    if (wanted := flags.get(f"power:{seen.id}")) is not None:
        state = PowerState(wanted)
    memory_mib = _either(configured.memory_mib, seen.memory_mib)
    memory_reserve = max(reserve.memory_mib, int(memory_mib * reserve.memory_ratio))
    reserved = Reserved(
        _either(configured.reserved_cpu_millicores, reserve.cpu_millicores),
        min(_either(configured.reserved_memory_mib, memory_reserve), max(0, memory_mib - 1)),
    )
    return replace(
        seen,
        cpu_millicores=_either(configured.cpu_millicores, seen.cpu_millicores),
        memory_mib=memory_mib,
        reserved=reserved,
        net_mbit_s=_either(configured.net_mbit_s, seen.net_mbit_s),
        disk_mib_s=_either(configured.disk_mib_s, seen.disk_mib_s),
        migration_mbit_s=_either(configured.migration_mbit_s, seen.migration_mbit_s),
        migration_tls=_either(configured.migration_tls, seen.migration_tls),
        domains={**seen.domains, **configured.domains},
        labels={**seen.labels, **configured.labels},
        storage=_either(configured.storage, seen.storage),
        power=replace(configured.power, state=state),
        cordoned=seen.cordoned or f"cordon:{seen.id}" in flags or f"drain:{seen.id}" in flags,
        failing=seen.failing or f"fail:{seen.id}" in flags,
    )


def _either(first: T | None, second: T) -> T:
    return second if first is None else first


def _moving_from(active: PlanRecord | None) -> dict[str, str]:
    """Return the source of each guest under way in the active plan."""
    if active is None:
        return {}
    steps = active.plan.migrations
    return {step.guest: step.source for step in steps if active.step_state(step.id) is StepState.RUNNING}


def _arrived(active: PlanRecord | None) -> dict[str, tuple[str, datetime]]:
    """Return the target and time of the last finished step of each guest of the active plan."""
    arrived: dict[str, tuple[str, datetime]] = {}
    for step in active.plan.migrations if active else ():
        record = active.steps.get(step.id) if active else None
        if record is not None and record.state is StepState.DONE:
            arrived[step.guest] = (step.target, record.at)
    return arrived


def _place(
    seen: Iterable[tuple[datetime, Guest]],
    known: Collection[str],
    moving_from: Mapping[str, str],
    arrived: Mapping[str, tuple[str, datetime]],
) -> tuple[dict[str, Guest], tuple[str, ...]]:
    """Choose one of the `known` places for each guest; return the guests, and those seen twice unexplained."""
    sightings: dict[str, list[tuple[datetime, Guest]]] = {}
    for taken_at, guest in seen:
        sightings.setdefault(guest.id, []).append((taken_at, guest))
    placed: dict[str, Guest] = {}
    doubled = []
    for one, found in sightings.items():
        here = found[0][1].host
        if len(found) == 1 and one not in moving_from and (one not in arrived or arrived[one][0] == here):
            placed[one] = found[0][1]
            continue
        found.sort(key=lambda sighting: (sighting[0], sighting[1].host))
        place, telling = moving_from.get(one), found
        if place is None and one in arrived:
            place, at = arrived[one]
            telling = [(taken_at, guest) for taken_at, guest in found if taken_at > at]
            place = telling[-1][1].host if telling else place
        guest = found[-1][1]
        if place is not None and place in known:
            guest = replace(guest, host=place)
        elif place is not None:
            guest = replace(guest, movable=False, why_not=f"its host {place} does not report")
        if one not in moving_from and len(telling) > 1:
            doubled.append(one)
            guest = replace(guest, movable=False, why_not="seen on two hosts")
        placed[one] = guest
    return placed, tuple(sorted(doubled))
