"""The permits of rate limits as a store in memory keeps them: the reference for `lua/permits.lua`. Not thread-safe."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cluster.rates import Permit

Holder = tuple[str, str]
"""Plan and step."""


class PermitBook:
    """Who holds which permit until when, on any seconds that never jump."""

    def __init__(self) -> None:
        self._until_s: dict[str, dict[Holder, float]] = {}
        self._keys: dict[Holder, tuple[str, ...]] = {}

    def lacking(self, holder: Holder, permits: Sequence[Permit], now_s: float) -> str | None:
        """Return the key of the first permit that cannot be had; what the holder has already does not count."""
        for permit in permits:
            held = self._held(permit.key, now_s)
            if len(held) - (holder in held) >= permit.most:
                return permit.key
        return None

    def take(self, holder: Holder, permits: Sequence[Permit], now_s: float) -> None:
        """Take all of them. Taken again by the same holder they count once."""
        for permit in permits:
            until_s = math.inf if permit.within_s is None else now_s + permit.within_s
            self._until_s.setdefault(permit.key, {})[holder] = until_s
        if permits:
            self._keys[holder] = tuple(permit.key for permit in permits)

    def give_back(self, holder: Holder, *, all_of_them: bool) -> None:
        """Free what a step held while under way; `all_of_them`: those of hours and days, too."""
        for key in self._keys.pop(holder, ()):
            until_s = self._until_s.get(key, {})
            if all_of_them or until_s.get(holder) == math.inf:
                until_s.pop(holder, None)

    def counts(self, now_s: float) -> dict[str, int]:
        """Return how many count now, by key; keys without any are not listed."""
        return {key: len(held) for key in sorted(self._until_s) if (held := self._held(key, now_s))}

    def _held(self, key: str, now_s: float) -> dict[Holder, float]:
        held = {holder: until_s for holder, until_s in self._until_s.get(key, {}).items() if until_s > now_s}
        if held:
            self._until_s[key] = held
        else:
            self._until_s.pop(key, None)
        return held
