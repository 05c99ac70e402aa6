"""Keys beginning with `x_`: other people's notes in a document, kept when it is written again and otherwise ignored.

They are held by path; an element of a list is named by its `id`, or its `name`, or its place, so that a note stays with
the thing it was written on and goes when that goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from cluster.formats.reader import Value
from cluster.formats.values import Json

PREFIX = "x_"
FREE_KEYS = frozenset({"labels", "domains", "guests", "hosts", "to"})
"""Objects whose keys are anyone's choice, when they are objects: nothing in them is a note."""

Extras = Mapping[tuple[str, ...], object]


def read_extras(value: Value, own: Collection[str] = ()) -> Extras:
    """Return the `x_` keys of a document that has been read, but for those that are fields of ours (`own`)."""
    return {path: note for path, note in _found(value.raw, ()) if path[-1] not in own}


def put_extras(document: Json, extras: Extras) -> Json:
    """Put kept keys back where what they were on is still there; changes and returns the document."""
    for path, note in extras.items():
        target: object = document
        for part in path[:-1]:
            target = _step_into(target, part)
        if isinstance(target, dict):
            target[path[-1]] = note
    return document


def _found(raw: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(raw, dict):
        if path and path[-1] in FREE_KEYS:
            return
        for key, one in raw.items():
            if key.startswith(PREFIX):
                yield (*path, key), one
            elif isinstance(one, dict | list):
                yield from _found(one, (*path, key))
    elif isinstance(raw, list):
        for index, one in enumerate(raw):
            if isinstance(one, dict | list):
                yield from _found(one, (*path, _name(one) or str(index)))


def _step_into(target: object, part: str) -> object:
    if isinstance(target, Mapping):
        return target.get(part)
    if isinstance(target, list):
        named = (one for one in target if _name(one) == part)
        by_place = target[int(part)] if part.isdecimal() and int(part) < len(target) else None
        return next(named, by_place)
    return None


def _name(one: object) -> str | None:
    name = (one.get("id") or one.get("name")) if isinstance(one, Mapping) else None
    return name if isinstance(name, str) else None
