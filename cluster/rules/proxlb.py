"""ProxLB's tags on guests, understood as rules. Pure.

A tag is a label of the guest whose key begins with `plb_`, whatever its value, or a word of its `tags` label (words
parted by `;`, `,` or blanks). Its end, here X, names a group or a host:

    plb_affinity_X        on one host with the others of the tag
    plb_anti_affinity_X   on another host than the others of the tag
    plb_pin_X             only on host X; with several such tags on any of these hosts
    plb_ignore_X          never touched

Rules are called after their tags; a guest's several pins make one rule for all guests that have the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cluster.guest import Guest
from cluster.rules.kinds import Affinity, AntiAffinity, Ignore, Pin, Rule
from cluster.rules.selector import Selector

PREFIX = "plb_"
TAGS_LABEL = "tags"

_GROUP_KINDS: Mapping[str, type[Affinity | AntiAffinity | Ignore]] = {
    "plb_affinity_": Affinity,
    "plb_anti_affinity_": AntiAffinity,
    "plb_ignore_": Ignore,
}
_PIN = "plb_pin_"
_BETWEEN_TAGS = re.compile(r"[;,\s]+")


def proxlb_rules(guests: Iterable[Guest]) -> tuple[Rule, ...]:
    """Return the rules that the guests' tags ask for, sorted by name."""
    return rules_from_tags({guest.id: tags_of(guest) for guest in guests})


def tags_of(guest: Guest) -> tuple[str, ...]:
    """Return a guest's ProxLB tags, sorted."""
    words = (*guest.labels, *_BETWEEN_TAGS.split(guest.labels.get(TAGS_LABEL, "")))
    return tuple(sorted({word for word in words if word.startswith(PREFIX)}))


def rules_from_tags(tags_by_guest: Mapping[str, Iterable[str]]) -> tuple[Rule, ...]:
    """Return the rules that tags ask for, given the tags by guest id, sorted by name."""
    groups: dict[str, list[str]] = {}
    pins: dict[tuple[str, ...], list[str]] = {}
    for guest in sorted(tags_by_guest):
        tags = sorted(set(tags_by_guest[guest]))
        for tag in tags:
            if _kind_of(tag) is not None:
                groups.setdefault(tag, []).append(guest)
        if hosts := tuple(tag.removeprefix(_PIN) for tag in tags if _is_pin(tag)):
            pins.setdefault(hosts, []).append(guest)
    rules: list[Rule] = [
        kind(name=tag, guests=Selector(ids=tuple(ids)))
        for tag, ids in groups.items()
        if (kind := _kind_of(tag)) is not None
    ]
    rules += [
        Pin(name=_PIN + "+".join(hosts), guests=Selector(ids=tuple(ids)), hosts=Selector(ids=hosts))
        for hosts, ids in pins.items()
    ]
    return tuple(sorted(rules, key=lambda rule: rule.name))


def proxlb_problems(guests: Iterable[Guest]) -> tuple[str, ...]:
    """Say which tags begin like ProxLB's and are none."""
    return tuple(
        f"guest {guest.title}: tag {tag} is not understood"
        for guest in guests
        for tag in tags_of(guest)
        if not _is_pin(tag) and _kind_of(tag) is None
    )


def _kind_of(tag: str) -> type[Affinity | AntiAffinity | Ignore] | None:
    return next((kind for start, kind in _GROUP_KINDS.items() if tag.startswith(start) and tag != start), None)


def _is_pin(tag: str) -> bool:
    return tag.startswith(_PIN) and tag != _PIN
