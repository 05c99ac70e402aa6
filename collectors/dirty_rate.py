"""Whose dirty rate is measured next, and what was last measured. Pure bookkeeping; one guest at a time on a host.

A measurement is started at one look and its result read at a later one. It is kept with its period, since a rate
means little without it, until the guest is measured anew, restarted or gone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cluster.guest import Dirty

GIVE_UP_S = 60.0
FIRST_ROUND_GAP_S = 20.0


class DirtyRateSampler:
    """Picks guests so that each is measured every `every_s`, spread evenly; `every_s` 0 measures none.

    Guests never measured come sooner, so that a young agent knows something of each.
    """

    def __init__(self, every_s: float, period_s: float) -> None:
        self.every_s = every_s
        # libvirt takes whole seconds, from 1 to 60.
        self.period_s = min(60, max(1, round(period_s)))
        self._known: dict[str, tuple[int, Dirty]] = {}
        self._tried_s: dict[str, float] = {}
        self._last_start_s: float | None = None
        self._under_way: tuple[str, int, float] | None = None

    @property
    def pending(self) -> str | None:
        """Id of the guest being measured."""
        return None if self._under_way is None else self._under_way[0]

    def known(self, guest: str, domain_id: int) -> Dirty:
        """Return the last measurement of this run of a guest; unknown when there is none."""
        measured_id, dirty = self._known.get(guest, (None, Dirty()))
        return dirty if measured_id == domain_id else Dirty()

    def next(self, candidates: Mapping[str, int], now_s: float) -> str | None:
        """Return the guest to measure now, if any: the one untried the longest. `candidates`: id to libvirt's id."""
        if self.every_s <= 0 or self._under_way is not None or not candidates:
            return None
        guest = min(candidates, key=lambda one: (self._tried_s.get(one, float("-inf")), one))
        tried_s = self._tried_s.get(guest)
        gap_s = self.every_s / len(candidates)
        if tried_s is None:
            gap_s = min(gap_s, FIRST_ROUND_GAP_S)
        if self._last_start_s is not None and now_s - self._last_start_s < gap_s:
            return None
        return guest if tried_s is None or now_s - tried_s >= self.every_s else None

    def started(self, guest: str, domain_id: int, now_s: float) -> None:
        """Note that a measurement has begun."""
        self._under_way = (guest, domain_id, now_s)
        self._tried_s[guest] = self._last_start_s = now_s

    def refused(self, guest: str, now_s: float) -> None:
        """Note that libvirt would not measure this guest now; it is its turn again after a full round."""
        self._tried_s[guest] = self._last_start_s = now_s

    def finished(self, dirty: Dirty | None, now_s: float) -> None:
        """Note a look at the measurement under way: its result, or `None` while there is none (given up in time)."""
        if self._under_way is None:
            return
        guest, domain_id, started_s = self._under_way
        if dirty is not None:
            self._known[guest] = (domain_id, dirty)
            self._under_way = None
        elif now_s - started_s > GIVE_UP_S + self.period_s:
            self._under_way = None

    def keep_only(self, present: Collection[str]) -> None:
        """Forget guests that are no longer on the host."""
        self._tried_s = {guest: tried_s for guest, tried_s in self._tried_s.items() if guest in present}
        self._known = {guest: known for guest, known in self._known.items() if guest in present}
        if self._under_way is not None and self._under_way[0] not in present:
            self._under_way = None
