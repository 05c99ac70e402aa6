"""Rules as cluster files and configurations hold them: one entry per rule kind, and a codec of the whole list.

A new kind is one class in `cluster/rules` and one line in `KINDS`. A rule without a name is called after its kind and
its number among the rules of that kind in the list, from 1: `anti_affinity-1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.formats.reader import Value
from cluster.formats.values import ID, IDS, TEXTS_BY_KEY, Codec, Json, Plain, Record, choice, number, unique, whole
from cluster.rules import (
    Affinity,
    AntiAffinity,
    Enforcement,
    Forbid,
    GroupMoveLimit,
    Ignore,
    Near,
    Pin,
    Rule,
    Selector,
    Spread,
)

KEY_OF_KIND = "kind"


def _read_selector(value: Value) -> Selector:
    if isinstance(value.raw, list):
        selector = Selector(ids=IDS.read(value))
    elif isinstance(value.raw, Mapping):
        selector = Selector(labels=TEXTS_BY_KEY.read(value))
    else:
        raise value.refusal("an object of labels or a list of ids")
    if not selector.ids and not selector.labels:
        raise value.refusal("at least one label or id", found="an empty list" if value.raw == [] else "an empty object")
    return selector


def _selector_to_json(selector: Selector) -> object:
    return list(selector.ids) if selector.ids else dict(selector.labels)


SELECTOR: Plain[Selector] = Plain(_read_selector, _selector_to_json)
_COMMON: dict[str, Codec[Any]] = {"name": ID}
_BINDING: dict[str, Codec[Any]] = {"enforcement": choice(Enforcement), "weight": number(above=True)}


def _check_weight(value: Value, rule: Rule) -> None:
    """Refuse a weight that would count for nothing."""
    if rule.enforcement is not Enforcement.SOFT and not value.at("weight").is_missing and rule.weight != 1.0:
        raise value.at("weight").refusal(f'no weight with enforcement "{rule.enforcement}"; it is for "soft"')


def _check_bound(value: Value, rule: Rule) -> None:
    """Refuse a soft bound on plans: these kinds always bind."""
    if rule.enforcement is Enforcement.SOFT:
        raise value.at("enforcement").refusal(f'"repair" or "hard" ({rule.kind} always binds)')


def _kind(cls: type[Rule], *, is_bound: bool = False, **codecs: Codec[Any]) -> Record[Rule]:
    return Record(
        cls,
        {**_COMMON, **codecs, **_BINDING},
        fixed={KEY_OF_KIND: cls.kind},
        check=_check_bound if is_bound else _check_weight,
    )


KINDS: dict[str, Record[Rule]] = {
    "anti_affinity": _kind(AntiAffinity, guests=SELECTOR, domain=ID),
    "affinity": _kind(Affinity, guests=SELECTOR, domain=ID),
    "spread": _kind(Spread, guests=SELECTOR, domain=ID, at_least=whole(1)),
    "pin": _kind(Pin, guests=SELECTOR, hosts=SELECTOR),
    "forbid": _kind(Forbid, guests=SELECTOR, hosts=SELECTOR),
    "near": _kind(Near, guests=SELECTOR, to=SELECTOR, domain=ID),
    "group_move_limit": _kind(GroupMoveLimit, guests=SELECTOR, at_most=whole(0), is_bound=True),
    "ignore": _kind(Ignore, guests=SELECTOR, is_bound=True),
}
"""Reader and writer by rule kind."""


def read_rules(value: Value) -> tuple[Rule, ...]:
    """Read a list of rules. `InputError` for a bad one or two of one name."""
    counts: dict[str, int] = {}
    rules = []
    for item in value.items("a list of rules"):
        item.entries("an object with a kind")
        kind = item.at(KEY_OF_KIND).choice(tuple(KINDS))
        counts[kind] = counts.get(kind, 0) + 1
        rules.append(KINDS[kind].read(_named(item, f"{kind}-{counts[kind]}")))
    unique(value, "rule name", [rule.name for rule in rules], key="name")
    return tuple(rules)


def rule_to_json(rule: Rule) -> Json:
    """Write one rule."""
    written = KINDS[rule.kind].write(rule)
    if rule.enforcement is not Enforcement.SOFT:
        del written["weight"]
    return written


def _named(item: Value, name: str) -> Value:
    assert isinstance(item.raw, Mapping)
    return item if "name" in item.raw else item.replaced({**item.raw, "name": name})


RULES: Plain[tuple[Rule, ...]] = Plain(read_rules, lambda rules: [rule_to_json(rule) for rule in rules])
