"""Codecs: how each kind of value is read from a file and written to one, and how a dataclass is made of them.

A codec reads a `Value` (raising `InputError`) and writes what JSON can hold; what it writes it reads back equal.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from cluster.formats.reader import MOST_NUMBER, Value, shown

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

Json = dict[str, Any]
_MOST_ID_CHARS = 256
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class Codec(Protocol[T]):
    """Reads one type of value and writes it."""

    def read(self, value: Value) -> T:
        """Return the value as its type. `InputError` when it is none."""

    def write(self, one: T) -> object:
        """Return what JSON holds for it."""


@dataclass(frozen=True, slots=True)
class Plain(Generic[T]):
    """A codec of two functions."""

    read: Callable[[Value], T]
    write: Callable[[T], object]


class Record(Generic[T]):
    """A codec of a dataclass: an object with one key per field, a field without a default being required.

    `codecs` are by field; `renamed` gives fields another key; `fixed` are further keys written and let through, such as
    `schema`; `check` refuses what only several fields together show. A field that is `None` is not written unless it
    is required or the record `writes_none`.
    """

    def __init__(
        self,
        cls: Callable[..., T],
        codecs: Mapping[str, Codec[Any]],
        *,
        renamed: Mapping[str, str] | None = None,
        fixed: Mapping[str, str] | None = None,
        writes_none: bool = False,
        check: Callable[[Value, T], None] | None = None,
    ) -> None:
        by_name = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        self._make = cls
        self.codecs = dict(codecs)
        self._fixed = dict(fixed or {})
        self._check = check
        self._writes_none = writes_none
        self._fields = [
            (name, (renamed or {}).get(name, name), codec, _is_required(by_name[name]))
            for name, codec in codecs.items()
        ]
        self.field_of_key = {key: name for name, key, _, _ in self._fields}
        self.keys = (*self._fixed, *(key for _, key, _, _ in self._fields))
        self._known = frozenset(self.keys)

    def read(self, value: Value) -> T:
        """Return the dataclass. `InputError` for an unknown or missing key, or any value its codec refuses."""
        if not value.has_only(self._known):
            value.only_keys(self.keys)
        given: Json = {}
        for name, key, codec, required in self._fields:
            if required or value.has(key):
                given[name] = codec.read(value.at(key))
        one = self._make(**given)
        if self._check is not None:
            self._check(value, one)
        return one

    def write(self, one: T) -> Json:
        """Return the object, keys in the order of the codecs."""
        written: Json = dict(self._fixed)
        for name, key, codec, required in self._fields:
            field = getattr(one, name)
            if field is not None or required or self._writes_none:
                written[key] = codec.write(field)
        return written


def nullable(codec: Codec[T]) -> Plain[T | None]:
    """A codec that takes null for "not known" or "not limited"."""
    return Plain(
        lambda value: None if value.raw is None else codec.read(value),
        lambda one: None if one is None else codec.write(one),
    )


def many(codec: Codec[T]) -> Plain[tuple[T, ...]]:
    """A codec of a list."""
    return Plain(
        lambda value: tuple(codec.read(one) for one in value.items()),
        lambda ones: [codec.write(one) for one in ones],
    )


def choice(enum: type[E]) -> Plain[E]:
    """A codec of one of an enumeration's values."""
    return Plain(lambda value: enum(value.choice([one.value for one in enum])), lambda one: one.value)


def whole(low: int = 0, high: int = 2**53) -> Plain[int]:
    """A codec of a whole number within bounds."""
    return Plain(lambda value: value.integer(low, high), int)


def number(low: float = 0.0, high: float = MOST_NUMBER, *, above: bool = False) -> Plain[float]:
    """A codec of a finite number within bounds; `above` leaves the low one out."""
    return Plain(lambda value: value.number(low, high, above=above), number_to_json)


def number_to_json(one: float) -> float:
    """Write 5.0 as 5, so that equal figures are equal text."""
    return int(one) if float(one).is_integer() else one


def _read_id(value: Value) -> str:
    text = value.text("text, not empty")
    if not 0 < len(text) <= _MOST_ID_CHARS or not text.isprintable():
        raise value.refusal(f"printable text of 1 to {_MOST_ID_CHARS} characters")
    return text


def _read_moment(value: Value) -> datetime:
    allowed = "a time such as 2026-11-22T20:00:00Z (RFC 3339, with Z or an offset)"
    text = value.text(allowed)
    if not _RFC_3339.fullmatch(text):
        raise value.refusal(allowed)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise value.refusal(allowed) from None


def moment_to_json(moment: datetime) -> str:
    """Write a time in UTC, RFC 3339."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read_texts_by_key(value: Value) -> dict[str, str]:
    return {key: one.text() for key, one in value.entries("an object of texts")}


def unique(value: Value, what: str, keys: list[str], key: str = "id") -> None:
    """Refuse a list whose elements share a key, naming the second and the first."""
    first: dict[str, int] = {}
    for index, (one, item) in enumerate(zip(keys, value.items(), strict=True)):
        if one in first:
            raise item.at(key).refusal(
                f"each {what} once", found=f"{shown(one)}, which {value.path}[{first[one]}] is already"
            )
        first[one] = index


TEXT: Plain[str] = Plain(Value.text, str)
ID: Plain[str] = Plain(_read_id, str)
BOOLEAN: Plain[bool] = Plain(Value.boolean, bool)
WHOLE = whole()
AMOUNT = number()
RATIO = number(0.0, 1.0)
ANY_NUMBER = number(-MOST_NUMBER, MOST_NUMBER)
MOMENT: Plain[datetime] = Plain(_read_moment, moment_to_json)
TEXTS_BY_KEY: Plain[Mapping[str, str]] = Plain(_read_texts_by_key, dict)
IDS = many(ID)


def document_text(document: Json) -> str:
    """Write a document as JSON text for people and diffs: a line per key, and one per element of a list of objects."""
    return "{\n" + ",\n".join(f"  {_one_line(key)}: {_lines(one)}" for key, one in document.items()) + "\n}\n"


def compact_text(document: Json) -> str:
    """Write a document as one line of JSON."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _lines(one: object) -> str:
    if isinstance(one, list) and one and isinstance(one[0], dict):
        return "[\n" + ",\n".join(f"    {_one_line(element)}" for element in one) + "\n  ]"
    return _one_line(one)


def _one_line(one: object) -> str:
    return json.dumps(one, ensure_ascii=False, allow_nan=False)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
