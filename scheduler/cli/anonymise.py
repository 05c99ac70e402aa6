"""A snapshot without anybody's names: ids, names, labels and domains become numbers; sizes and structure stay. Pure.

Pseudonyms follow the sorted order of what they stand for, so the same cluster gives the same ones every time. What
rules select stays selected, a name that nothing answers to included. CPU models and machine types are kept: they decide
who can go where and are not of anybody's making.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cluster.formats.cluster_file import snapshot_id
from cluster.guest import Guest
from cluster.host import Host
from cluster.rules import Affinity, AntiAffinity, Forbid, Near, Pin, Rule, Selector, Spread
from cluster.snapshot import Snapshot

WHY_NOT = "not movable (reason left out)"


class _Names:
    """Pseudonyms of one kind of name."""

    def __init__(self, prefix: str, names: Iterable[str]) -> None:
        known = sorted(set(names))
        digits = len(str(len(known)))
        self._of = {name: f"{prefix}-{number:0{digits}}" for number, name in enumerate(known, 1)}

    def __getitem__(self, name: str) -> str:
        return self._of[name]

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def all(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._of[name] for name in names)


def anonymise(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot under pseudonyms, with the id that its new content has."""
    return _Anonymiser(snapshot).snapshot()


class _Anonymiser:
    def __init__(self, snapshot: Snapshot) -> None:
        self._from = snapshot
        hosts, guests, rules = snapshot.hosts, snapshot.guests, snapshot.rules
        selectors = [selector for rule in rules for selector in _selectors(rule)]
        labels = [
            *(host.labels for host in hosts),
            *(guest.labels for guest in guests),
            *(selector.labels for selector in selectors),
        ]
        host_selectors = [rule.hosts for rule in rules if isinstance(rule, Pin | Forbid)]
        guest_ids = {guest.id for guest in guests}
        guest_names = {guest.name for guest in guests if guest.name}
        on_hosts = {name for selector in host_selectors for name in selector.ids}
        of_guests = {name for selector in selectors if selector not in host_selectors for name in selector.ids}
        domain_rules = (rule for rule in rules if isinstance(rule, AntiAffinity | Affinity | Spread | Near))
        self._host = _Names("host", {host.id for host in hosts} | on_hosts)
        self._guest = _Names("guest", guest_ids | (of_guests - guest_names))
        self._name = _Names("name", guest_names)
        self._key = _Names("label", (key for one in labels for key in one))
        self._value = _Names("value", (value for one in labels for value in one.values()))
        self._domain = _Names(
            "domain",
            {key for host in hosts for key in host.domains} | {rule.domain for rule in domain_rules} - {"host"},
        )
        self._cell = _Names("cell", (cell for host in hosts for cell in host.domains.values()))
        every: tuple[Host | Guest, ...] = (*hosts, *guests)
        self._storage = _Names("storage", (name for one in every for name in one.storage or ()))
        self._network = _Names("network", (name for one in every for name in one.networks or ()))
        self._rule = _Names("rule", (rule.name for rule in rules))

    def snapshot(self) -> Snapshot:
        before = self._from
        after = replace(
            before,
            id="",
            extra={},
            hosts=tuple(self._host_of(host) for host in before.hosts),
            guests=tuple(self._guest_of(guest) for guest in before.guests),
            rules=tuple(self._rule_of(rule) for rule in before.rules),
        )
        return replace(after, id=snapshot_id(after))

    def _host_of(self, host: Host) -> Host:
        return replace(
            host,
            id=self._host[host.id],
            domains={self._domain[key]: self._cell[cell] for key, cell in host.domains.items()},
            labels=self._labels(host.labels),
            storage=None if host.storage is None else self._storage.all(host.storage),
            networks=None if host.networks is None else self._network.all(host.networks),
        )

    def _guest_of(self, guest: Guest) -> Guest:
        return replace(
            guest,
            id=self._guest[guest.id],
            name=self._name[guest.name] if guest.name else "",
            host=self._host[guest.host],
            why_not=None if guest.why_not is None else WHY_NOT,
            labels=self._labels(guest.labels),
            storage=self._storage.all(guest.storage),
            networks=self._network.all(guest.networks),
        )

    def _rule_of(self, rule: Rule) -> Rule:
        changed: Rule = replace(rule, name=self._rule[rule.name], guests=self._selector(rule.guests))
        if isinstance(changed, Pin | Forbid):
            hosts = changed.hosts
            changed = replace(changed, hosts=Selector(self._labels(hosts.labels), self._host.all(hosts.ids)))
        if isinstance(changed, Near):
            changed = replace(changed, to=self._selector(changed.to))
        if isinstance(changed, AntiAffinity | Affinity | Spread | Near) and changed.domain != "host":
            changed = replace(changed, domain=self._domain[changed.domain])
        return changed

    def _selector(self, selector: Selector) -> Selector:
        ids = tuple(self._guest[name] if name in self._guest else self._name[name] for name in selector.ids)
        return Selector(self._labels(selector.labels), ids)

    def _labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {self._key[key]: self._value[value] for key, value in labels.items()}


def _selectors(rule: Rule) -> tuple[Selector, ...]:
    if isinstance(rule, Pin | Forbid):
        return rule.guests, rule.hosts
    return (rule.guests, rule.to) if isinstance(rule, Near) else (rule.guests,)
