"""Rules that contradict each other on their face, found before any planning. Pure.

Only what no placement at all could satisfy and two lines of a file already show; what turns out impossible only with
capacities and other rules in view is the solver's to say. A soft rule contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.rules.base import Enforcement
from cluster.rules.directory import Directory
from cluster.rules.kinds import Affinity, AntiAffinity, Forbid, Pin, Rule, Spread
from cluster.rules.selector import Selector


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two rules that cannot both hold, or one that cannot by itself (then named twice), and a sentence naming them."""

    first: Rule
    second: Rule
    text: str


def find_contradictions(
    hosts: Sequence[Host], guests: Sequence[Guest], rules: Sequence[Rule]
) -> tuple[Contradiction, ...]:
    """Return every contradiction, in the order of the rules."""
    binding = [rule for rule in rules if rule.enforcement is not Enforcement.SOFT]
    if not binding:
        return ()
    by_host, by_guest = Directory(hosts), Directory(guests)
    return (
        *(Contradiction(rule, rule, text) for rule in binding for text in _alone(rule, hosts, by_host, by_guest)),
        *_between_pins(binding, by_host, by_guest),
        *_between_affinities(binding, by_guest),
    )


def find_in_rules_alone(rules: Sequence[Rule]) -> tuple[Contradiction, ...]:
    """Return the contradictions that rules show without any host or guest known, as a configuration's must.

    Each selector of guests is taken to select two guests of just its labels, or those it lists; a rule that selects
    hosts by label is passed over, since it may select any.
    """
    binding = [
        rule
        for rule in rules
        if rule.enforcement is not Enforcement.SOFT and not (isinstance(rule, Pin | Forbid) and rule.hosts.labels)
    ]
    guests = [
        Guest(id=name, host="", vcpus=1, memory_mib=1, usage=Usage(None), labels=rule.guests.labels)
        for rule in binding
        for name in rule.guests.ids or (f"1 of {rule.title}", f"2 of {rule.title}")
    ]
    host_ids = {name for rule in binding if isinstance(rule, Pin | Forbid) for name in rule.hosts.ids}
    hosts = [Host(id=name, cpu_millicores=0, memory_mib=0) for name in sorted(host_ids)]
    by_host, by_guest = Directory(hosts), Directory(guests)
    return (*_between_pins(binding, by_host, by_guest), *_between_affinities(binding, by_guest))


def _alone(rule: Rule, hosts: Sequence[Host], by_host: Directory, by_guest: Directory) -> Iterator[str]:
    match rule:
        case Pin():
            if not _ids(rule.hosts, by_host):
                yield f"{rule.title} pinning to no host that is known"
        case Forbid():
            selected = _ids(rule.guests, by_guest)
            if selected and hosts and len(_ids(rule.hosts, by_host)) == len(hosts):
                yield f"{rule.title} forbidding every host to guest {min(selected)}"
        case Spread() if rule.enforcement is Enforcement.HARD:
            cells = {host.domain(rule.domain) for host in hosts}
            if _ids(rule.guests, by_guest) and rule.at_least > len(cells):
                yield f"{rule.title} asking for {rule.at_least} of {len(cells)} cells of domain {rule.domain}"
        case _:
            return


def _between_pins(rules: Sequence[Rule], hosts: Directory, guests: Directory) -> Iterator[Contradiction]:
    places = [
        (rule, _ids(rule.guests, guests), _ids(rule.hosts, hosts)) for rule in rules if isinstance(rule, Pin | Forbid)
    ]
    for (first, first_guests, first_hosts), (second, second_guests, second_hosts) in combinations(places, 2):
        shared = first_guests & second_guests
        if not shared or not first_hosts or not second_hosts:
            continue
        guest = min(shared)
        match first, second:
            case (Pin(), Pin()) if not first_hosts & second_hosts:
                text = f"{first.title} and {second.title} pinning guest {guest} to different hosts"
                yield Contradiction(first, second, text)
            case (Pin(), Forbid()) if first_hosts <= second_hosts:
                text = f"{first.title} pinning guest {guest} to hosts that {second.title} forbids"
                yield Contradiction(first, second, text)
            case (Forbid(), Pin()) if second_hosts <= first_hosts:
                text = f"{second.title} pinning guest {guest} to hosts that {first.title} forbids"
                yield Contradiction(first, second, text)
            case _:
                pass


def _between_affinities(rules: Sequence[Rule], guests: Directory) -> Iterator[Contradiction]:
    together = [(rule, _ids(rule.guests, guests)) for rule in rules if isinstance(rule, Affinity)]
    apart = [(rule, _ids(rule.guests, guests)) for rule in rules if isinstance(rule, AntiAffinity)]
    for affinity, joined in together:
        for anti_affinity, parted in apart:
            pair = sorted(joined & parted)[:2]
            # Guests on one host share its cell of every domain.
            if len(pair) == 2 and affinity.domain in ("host", anti_affinity.domain):
                text = (
                    f"{affinity.title} keeping guests {pair[0]} and {pair[1]} together that {anti_affinity.title} parts"
                )
                yield Contradiction(affinity, anti_affinity, text)


def _ids(selector: Selector, among: Directory) -> frozenset[str]:
    return frozenset(among.select(selector))
