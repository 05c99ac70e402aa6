"""Integers of a text file, taken in order; what is not as promised is refused by line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from cluster.errors import InputError

IntArray: TypeAlias = npt.NDArray[np.int64]

LARGEST = 2**32 - 1
"""The largest integer taken: the formats read here promise 32 bits, and sums of them are then exact in 64."""


class Integers:
    """The whitespace-separated integers of one text, taken from the front.

    Raises `InputError` when the text holds anything but integers of 0 to `LARGEST`, when more are asked for than are
    left, when one is out of the range asked for, and by `end` when some are left.
    """

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name, self._next = text, name, 0
        words = text.split()
        try:
            self._all: IntArray = np.array(words, dtype=np.int64)
        except (ValueError, OverflowError):
            at = next(i for i, word in enumerate(words) if not _is_integer(word))
            raise self._refusal(at, "a number of the file", words[at], f"an integer of 0 to {LARGEST}") from None
        bad = np.flatnonzero((self._all < 0) | (self._all > LARGEST))
        if bad.size:
            raise self._refusal(int(bad[0]), "a number of the file", words[bad[0]], f"an integer of 0 to {LARGEST}")

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Return the integers of a file; `InputError` when it cannot be read."""
        try:
            return cls(path.read_text(encoding="ascii"), str(path))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; give --data the folder it is in") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as text ({error})") from None

    def take(self, count: int, what: str, low: int = 0, high: int = LARGEST) -> IntArray:
        """Return the next `count` integers, each from `low` to `high`; `what` names the field in a refusal."""
        first = self._next
        if first + count > len(self._all):
            raise InputError(
                f"{self._name}: ends early at {what}: found {len(self._all) - first} more integers; needed {count}"
            )
        taken = self._all[first : first + count]
        bad = np.flatnonzero((taken < low) | (taken > high))
        if bad.size:
            at = first + int(bad[0])
            raise self._refusal(at, what, str(self._all[at]), f"{low} to {high}")
        self._next += count
        return taken

    def one(self, what: str, low: int = 0, high: int = LARGEST) -> int:
        """Return the next integer."""
        return int(self.take(1, what, low, high)[0])

    def rows(self, count: int, width: int, what: str) -> IntArray:
        """Return the next `count` rows of `width` integers."""
        return self.take(count * width, what).reshape(count, width)

    def check(self, column: IntArray, what: str, high: int, first: int, stride: int) -> None:
        """Refuse a column of rows taken before with a value over `high`.

        `first` is where its first value stands, counted from the integers taken so far (negative), `stride` the width.
        """
        bad = np.flatnonzero(column > high)
        if bad.size:
            at = self._next + first + int(bad[0]) * stride
            raise self._refusal(at, what, str(self._all[at]), f"0 to {high}")

    def end(self) -> None:
        """Refuse a text that goes on."""
        left = len(self._all) - self._next
        if left:
            raise self._refusal(self._next, "the end", f"{left} more integers", "nothing after the last field")

    def _refusal(self, at: int, what: str, found: str, allowed: str) -> InputError:
        line, field = self._place(at)
        return InputError(f"{self._name}, line {line}, field {field}: {what}: found {found}; allowed: {allowed}")

    def _place(self, at: int) -> tuple[int, int]:
        """Line and field, both from 1, of the integer at an index."""
        before = 0
        for number, line in enumerate(self._text.splitlines(), 1):
            words = len(line.split())
            if at < before + words:
                return number, at - before + 1
            before += words
        raise IndexError(at)


def _is_integer(word: str) -> bool:
    try:
        return abs(int(word)) < 2**63
    except ValueError:
        return False
