"""What is wrong with a cluster right now: broken rules and hosts over their limits."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.limits import Limits
from cluster.rules import Enforcement
from cluster.snapshot import Snapshot
from scheduler.check.load import overloads
from scheduler.check.rules import broken, settled


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong: a stable code (`broken_rule`, `over_limit`, `unplannable`), what it concerns, and a sentence."""

    code: str
    about: str
    text: str


_BROKEN = {"anti_affinity": "pair% together", "affinity": "pair% apart", "spread": "cell% missing"}
_UNITS = {
    "cpu": "millicores",
    "vcpus": "virtual CPUs",
    "network": "Mbit/s",
    "disk": "MiB/s",
}
"""Units of resources; of the others MiB."""


def check_cluster(snapshot: Snapshot, limits: Limits) -> list[Finding]:
    """Return everything broken in the snapshot, rules first, then overload, then hosts that cannot be planned with."""
    placement = {guest.id: guest.host for guest in snapshot.guests}
    findings = []
    for rule in snapshot.rules:
        if rule.enforcement is not Enforcement.SOFT and (count := broken(rule, snapshot, settled(placement))):
            what = _BROKEN.get(rule.kind, "guest%").replace("%", "" if count == 1 else "s")
            text = f"{rule.title} is broken: {count} {what}"
            findings.append(Finding("broken_rule", rule.title, text))
    for over in overloads(snapshot, placement, limits):
        text = f"host {over.host.id} is over its {over.resource} limit: "
        text += f"{over.used} {_UNITS.get(over.resource, 'MiB')} used, {over.most} allowed"
        findings.append(Finding("over_limit", over.host.id, text))
    for host in snapshot.hosts:
        if (why := snapshot.why_unplannable(host)) is not None:
            findings.append(Finding("unplannable", host.id, f"{why}; it is neither source nor target"))
    return findings
