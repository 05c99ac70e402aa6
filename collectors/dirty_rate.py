"""Whose dirty rate is measured next, over which period, and what is known of it. Pure bookkeeping; one guest at a time.

A measurement is started at one look and its result read at a later one. A rate means little without its period, since
a page written twice counts once: so a guest is measured over a short and a long period in turn, and what the long one
shows no more of than the short one gives the hot set. A longer period costs no more: QEMU reads a sample of the pages
at its start and at its end. The last few measurements count, until the guest is restarted or gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from cluster.guest import Dirty
from cluster.migration.dirtying import hot_mib_from

GIVE_UP_S = 60.0
FIRST_ROUND_GAP_S = 20.0
LONG_TIMES = 10
"""How many times as long as the short period the long one is."""
LONGEST_S = 60
"""libvirt takes whole seconds, from 1 to 60."""
ROUNDED_OFF_MIB_S = 0.5
"""libvirt gives whole MiB/s, rounded down. Over the long period what is lost on average would hide half a hot set."""
MOST_KEPT = 5
"""How many measurements of each period count. Each sampled page stands for 2 MiB: the mean evens chance out."""


def dirty_from(samples: Iterable[Dirty]) -> Dirty:
    """Return what measurements over one or two periods say together: the shorter one's rate, and the hot set.

    The longer period's rate where the shorter shows nothing; unknown without any measurement.
    """
    rates: dict[float, list[float]] = {}
    for one in samples:
        if one.mib_s is not None and one.over_s is not None:
            rates.setdefault(one.over_s, []).append(one.mib_s)
    if not rates:
        return Dirty()
    short_s, long_s = min(rates), max(rates)
    short, long = fmean(rates[short_s]), fmean(rates[long_s])
    if not short:
        return Dirty(long, long_s)
    return Dirty(short, short_s, hot_mib_from((short, short_s), (long + ROUNDED_OFF_MIB_S, long_s)))


@dataclass(slots=True)
class _Measured:
    """The latest measurements of one run of a guest, oldest first."""

    domain_id: int
    short: deque[Dirty] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    long: deque[Dirty] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    long_next: bool = True


class DirtyRateSampler:
    """Picks guests so that each is measured every `every_s`, spread evenly; `every_s` 0 measures none.

    Guests never measured come sooner, so that a young agent knows something of each.
    """

    def __init__(self, every_s: float, period_s: float) -> None:
        self.every_s = every_s
        self.period_s = min(LONGEST_S, max(1, round(period_s)))
        self.long_s = min(LONGEST_S, LONG_TIMES * self.period_s)
        self._known: dict[str, _Measured] = {}
        self._tried_s: dict[str, float] = {}
        self._last_start_s: float | None = None
        self._under_way: tuple[str, int, float] | None = None

    @property
    def pending(self) -> str | None:
        """Id of the guest being measured."""
        return None if self._under_way is None else self._under_way[0]

    def known(self, guest: str, domain_id: int) -> Dirty:
        """Return what the last measurements of this run of a guest say; unknown when there is none."""
        measured = self._known.get(guest)
        if measured is None or measured.domain_id != domain_id:
            return Dirty()
        return dirty_from((*measured.short, *measured.long))

    def period_of(self, guest: str, domain_id: int) -> int:
        """Return the seconds to measure a guest over: short first, then long and short in turn."""
        measured = self._known.get(guest)
        if measured is None or measured.domain_id != domain_id:
            return self.period_s
        return self.long_s if measured.long_next else self.period_s

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
            measured = self._known.get(guest)
            if measured is None or measured.domain_id != domain_id:
                measured = self._known[guest] = _Measured(domain_id)
            is_short = dirty.over_s is None or dirty.over_s <= self.period_s
            (measured.short if is_short else measured.long).append(dirty)
            measured.long_next = is_short and self.long_s > self.period_s
            self._under_way = None
        elif now_s - started_s > GIVE_UP_S + self.long_s:
            self._under_way = None

    def keep_only(self, present: Collection[str]) -> None:
        """Forget guests that are no longer on the host."""
        self._tried_s = {guest: tried_s for guest, tried_s in self._tried_s.items() if guest in present}
        self._known = {guest: known for guest, known in self._known.items() if guest in present}
        if self._under_way is not None and self._under_way[0] not in present:
            self._under_way = None
