"""Rules that guests carry in their own metadata, made from the labels that collectors keep them in. Pure.

A guest with the label `trimtab.rule.KIND.NAME` is a member of that rule; the label's value holds the rule's other keys,
`key=value` joined by `;`, ids joined by `,`: `trimtab.rule.pin.licence` with `enforcement=hard;hosts=kvm-1,kvm-2`. All
members must say the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster.errors import InputError
from cluster.formats.reader import Value, any_of
from cluster.formats.rules_file import KEY_OF_KIND, KINDS
from cluster.guest import Guest
from cluster.rules import Rule

PREFIX = "trimtab.rule."
_LISTS = frozenset({"hosts", "to"})
_NUMBERS = frozenset({"at_least", "at_most", "weight"})


def metadata_rules(guests: Iterable[Guest]) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """Return the rules that guests carry, sorted by label, and a sentence for each that cannot be understood."""
    members: dict[str, list[Guest]] = {}
    for guest in sorted(guests, key=lambda guest: guest.id):
        for label in guest.labels:
            if label.startswith(PREFIX):
                members.setdefault(label, []).append(guest)
    rules: dict[str, Rule] = {}
    problems = []
    for label in sorted(members):
        try:
            rule = _read(label, members[label])
        except InputError as error:
            problems.append(str(error))
            continue
        if rule.name in rules:
            problems.append(f"metadata of guests: {label}: found a second rule {rule.name}; allowed: each name once")
        else:
            rules[rule.name] = rule
    return tuple(rules.values()), tuple(problems)


def _read(label: str, guests: list[Guest]) -> Rule:
    first = guests[0]
    kind, _, name = label.removeprefix(PREFIX).partition(".")
    place = Value({label: first.labels[label]}, f"metadata of guest {first.title}").at(label)
    if kind not in KINDS:
        raise place.refusal(f"a rule of kind {any_of(KINDS)}", found=f"kind {kind}")
    for guest in guests[1:]:
        if guest.labels[label] != first.labels[label]:
            raise place.refusal(f"the same as guest {guest.title} says ({guest.labels[label]})")
    raw: dict[str, object] = {}
    for part in filter(None, first.labels[label].split(";")):
        key, _, text = part.partition("=")
        raw[key] = _as_written(key, text)
    raw |= {KEY_OF_KIND: kind, "name": name, "guests": [guest.id for guest in guests]}
    return KINDS[kind].read(place.replaced(raw))


def _as_written(key: str, text: str) -> object:
    """Return an attribute's text as the JSON value a rule's key has; what is no number stays text, and is refused."""
    if key in _LISTS:
        return [one.strip() for one in text.split(",") if one.strip()]
    if key in _NUMBERS:
        try:
            return float(text) if key == "weight" else int(text)
        except ValueError:
            return text
    return text
