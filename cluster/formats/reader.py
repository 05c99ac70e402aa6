"""A parsed JSON or TOML value that knows its file and its path there, and refuses what it is not on one line.

Every refusal is an `InputError` of one shape: `FILE: PATH: found X; allowed: Y; did you mean Z?`. Numbers are finite
and bounded, a boolean is no number, a key of an object occurs once, text is encodable. Nothing is half-read.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from cluster.errors import InputError

MOST_WHOLE: Final = 2**53
"""Largest whole number read: the last one that every JSON implementation keeps exactly."""

MOST_NUMBER: Final = 1e15
_SHOWN_CHARS = 60
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


class _Missing(Enum):
    """What stands where a key is not there."""

    MISSING = "missing"


MISSING: Final = _Missing.MISSING


class Value:
    """A value at a place in a file. Methods return it as one type or raise `InputError` naming file and path."""

    __slots__ = ("_file", "_key", "_parent", "raw")

    def __init__(self, raw: object, file: str, parent: Value | None = None, key: str | int = "") -> None:
        self.raw = raw
        self._file = file
        self._parent = parent
        self._key = key

    @property
    def path(self) -> str:
        """Where the value stands, such as `hosts[3].power.watts`; empty for the whole file."""
        if self._parent is None:
            return ""
        before = self._parent.path
        if isinstance(self._key, int):
            return f"{before}[{self._key}]"
        if not _PLAIN_KEY.fullmatch(self._key):
            return f"{before}[{shown(self._key)}]"
        return f"{before}.{self._key}" if before else self._key

    @property
    def is_missing(self) -> bool:
        """Whether there is no such key."""
        return self.raw is MISSING

    def at(self, key: str) -> Value:
        """Return the value under a key of this object; a missing one is refused when it is read."""
        raw = self.raw.get(key, MISSING) if isinstance(self.raw, dict) else MISSING
        return Value(raw, self._file, self, key)

    def has(self, key: str) -> bool:
        """Tell whether this is an object with such a key."""
        return isinstance(self.raw, dict) and key in self.raw

    def has_only(self, keys: frozenset[str]) -> bool:
        """Tell whether this is an object whose keys are all among these."""
        return isinstance(self.raw, dict) and self.raw.keys() <= keys

    def replaced(self, raw: object) -> Value:
        """Return another value standing at the same place."""
        return Value(raw, self._file, self._parent, self._key)

    def refusal(self, allowed: str, *, found: str | None = None, choices: Iterable[str] = ()) -> InputError:
        """Return the error that says what was found here, what is allowed, and which of `choices` comes close."""
        place = f"{self._file}: {self.path}" if self.path else self._file
        hint = ""
        if isinstance(self.raw, str) and (close := closest(self.raw, choices)) is not None:
            hint = f"; did you mean {shown(close)}?"
        return InputError(f"{place}: found {shown(self.raw) if found is None else found}; allowed: {allowed}{hint}")

    def text(self, allowed: str = "text") -> str:
        """Return a string, empty or not."""
        if not isinstance(self.raw, str):
            raise self.refusal(allowed)
        return self.raw

    def boolean(self) -> bool:
        """Return true or false."""
        if not isinstance(self.raw, bool):
            raise self.refusal("true or false")
        return self.raw

    def integer(self, low: int = 0, high: int = MOST_WHOLE) -> int:
        """Return a whole number within bounds, both included."""
        if isinstance(self.raw, bool) or not isinstance(self.raw, int) or not low <= self.raw <= high:
            raise self.refusal(f"a whole number {_between(low, high, MOST_WHOLE)}")
        return self.raw

    def number(self, low: float = 0.0, high: float = MOST_NUMBER, *, above: bool = False) -> float:
        """Return a finite number within bounds, both included unless it must be `above` the low one."""
        allowed = f"a number {_between(low, high, MOST_NUMBER, above=above)}"
        if isinstance(self.raw, bool) or not isinstance(self.raw, int | float) or not low <= self.raw <= high:
            raise self.refusal(allowed)
        if above and self.raw == low:
            raise self.refusal(allowed)
        return float(self.raw)

    def choice(self, choices: Sequence[str]) -> str:
        """Return a string that is one of the choices."""
        if not isinstance(self.raw, str) or self.raw not in choices:
            raise self.refusal(any_of(choices), choices=choices)
        return self.raw

    def items(self, allowed: str = "a list") -> list[Value]:
        """Return the elements of a list."""
        if not isinstance(self.raw, list):
            raise self.refusal(allowed)
        return [Value(one, self._file, self, index) for index, one in enumerate(self.raw)]

    def entries(self, allowed: str = "an object") -> list[tuple[str, Value]]:
        """Return keys and values of an object whose keys are free, in the file's order."""
        if not isinstance(self.raw, Mapping):
            raise self.refusal(allowed)
        return [(key, Value(one, self._file, self, key)) for key, one in self.raw.items()]

    def only_keys(self, keys: Iterable[str]) -> None:
        """Refuse anything but an object whose keys are among these; keys beginning with `x_` are let through."""
        known = tuple(keys)
        if self.has_only(frozenset(known)):
            return
        for key, value in self.entries(f"an object with the keys {', '.join(known)}"):
            if key not in known and not key.startswith("x_"):
                close = closest(key, known)
                hint = "" if close is None else f"; did you mean {close}?"
                raise InputError(
                    f"{self._file}: {value.path}: found an unknown key; allowed: {', '.join(known) or 'no key'}{hint}"
                )

    def schema(self, allowed: str) -> None:
        """Refuse anything but an object of this schema and version."""
        if not isinstance(self.raw, Mapping):
            raise self.refusal(f"an object of schema {shown(allowed)}")
        if self.raw.get("schema") != allowed:
            raise self.at("schema").refusal(shown(allowed))


def any_of(choices: Iterable[str]) -> str:
    """Name the allowed strings in a message."""
    *most, last = [shown(choice) for choice in choices]
    return f"{', '.join(most)} or {last}" if most else last


def closest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice a misspelt word probably means, if any comes close."""
    by_folded = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(word[:200].casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def shown(raw: object) -> str:
    """Show a found value on one line, cut when long."""
    match raw:
        case _Missing():
            return "nothing (the key is missing)"
        case str():
            text = json.dumps(raw, ensure_ascii=not raw.isprintable())
        case bool() | None:
            text = json.dumps(raw)
        case int() if raw.bit_length() > 128:
            return "a number of over 128 bits"
        case int() | float():
            text = repr(raw)
        case list():
            return f"a list of {len(raw)}"
        case Mapping():
            return "an object"
        case _:
            text = str(raw)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def read_file(path: Path) -> str:
    """Return the text of a UTF-8 file. `InputError` when it cannot be read."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: found a byte that is not UTF-8 at offset {error.start}; allowed: UTF-8 text"
        ) from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{shown(str(path))}: cannot be read: {error}") from error


def parse_json(text: str, name: str) -> Value:
    """Parse JSON text whole; `name` is the file's in messages. `InputError` for anything broken, doubled or endless."""
    if not text.strip():
        raise InputError(f"{name}: found an empty file; allowed: one JSON object")
    doubtful: list[object] = []

    def pairs(given: list[tuple[str, object]]) -> _Pairs:
        made = _Pairs(given)
        if made.twice is not None:
            doubtful.append(made)
        return made

    def real(digits: str) -> float:
        number = float(digits)
        if not math.isfinite(number):
            doubtful.append(number)
        return number

    try:
        raw = json.loads(text, object_pairs_hook=pairs, parse_float=real, parse_constant=real)
        value = Value(raw, name)
        # Half a surrogate pair is there only when it was written as an escape, or when the text itself has one.
        if doubtful or "\\u" in text or not _can_be_written(text):
            _check(value)
    except json.JSONDecodeError as error:
        place = f"{name}: line {error.lineno} column {error.colno}"
        raise InputError(f"{place}: found broken JSON ({error.msg}); allowed: one JSON object") from error
    except RecursionError as error:
        raise InputError(f"{name}: found lists or objects nested too deep; allowed: one JSON object") from error
    except ValueError as error:
        raise InputError(f"{name}: found a number with too many digits; allowed: up to 2^53") from error
    return value


def parse_toml(text: str, name: str) -> Value:
    """Parse TOML text whole; `name` is the file's in messages. `InputError` for anything broken."""
    try:
        return Value(tomllib.loads(text), name)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: found broken TOML ({error}); allowed: TOML 1.0") from error
    except RecursionError as error:
        raise InputError(f"{name}: found lists or tables nested too deep; allowed: TOML 1.0") from error
    except ValueError as error:
        raise InputError(f"{name}: found a number with too many digits; allowed: up to 2^53") from error


class _Pairs(dict[str, object]):
    """A JSON object that remembers the first key it was given twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.twice: str | None = None
        if len(self) < len(pairs):
            seen: set[str] = set()
            self.twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]


def _check(value: Value) -> None:
    """Refuse doubled keys, NaN, Infinity and text that cannot be written down, wherever they stand."""
    if _is_clean(value.raw):
        return
    for one in _walk(value):
        if isinstance(one.raw, _Pairs):
            if one.raw.twice is not None:
                raise one.at(one.raw.twice).refusal("each key once", found="the same key twice")
            for key in one.raw:
                if not _encodable(key):
                    raise one.refusal("Unicode text", found="a key with half a surrogate pair")
        elif isinstance(one.raw, float) and not math.isfinite(one.raw):
            raise one.refusal("a finite number")
        elif isinstance(one.raw, str) and not _encodable(one.raw):
            raise one.refusal("Unicode text", found="text with half a surrogate pair")


def _is_clean(raw: object) -> bool:
    """Whether nothing is to be refused: the same questions without a path at hand, since most files are clean."""
    todo = [raw]
    while todo:
        one = todo.pop()
        if isinstance(one, _Pairs):
            if one.twice is not None or not all(map(_encodable, one)):
                return False
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)
        elif isinstance(one, str):
            if not _encodable(one):
                return False
        elif isinstance(one, float) and not math.isfinite(one):
            return False
    return True


def _walk(value: Value) -> Iterator[Value]:
    todo = [value]
    while todo:
        one = todo.pop()
        yield one
        if isinstance(one.raw, Mapping):
            todo.extend(child for _, child in reversed(one.entries()))
        elif isinstance(one.raw, list):
            todo.extend(reversed(one.items()))


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _between(low: float, high: float, most: float, *, above: bool = False) -> str:
    if high == most:
        return f"above {low:g}" if above else f"from {_bound(low)} up"
    return f"above {low:g} and up to {_bound(high)}" if above else f"from {_bound(low)} to {_bound(high)}"


def _bound(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
