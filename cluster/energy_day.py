"""A day's energy as the store keeps it: what was used, what sleeping hosts saved, and what moves and wakes cost. Pure.

Energies are joules, money is in the configured currency. Days are UTC dates. `night` is the part of a day in which a
night window was open, `rest` the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from cluster.prices import JOULES_PER_KWH


@dataclass(frozen=True, slots=True)
class Energy:
    """Sums over `seen_s` seconds of observation; time in which nobody looked counts nowhere.

    Each figure is split by how it is known: `metered`, by the hosts' own meters or curves fitted to them, or
    `modelled`, by configured or assumed curves. Saved is against the same load with every host on that sleeps by
    Trimtab's doing; `wakes_j` and `moves_j`, the energy of waking hosts and of moves, are not taken off it yet.
    `cost` is the money for what was used, `money_saved` that for `net_saved_j`.
    """

    seen_s: float = 0.0
    asleep_host_s: float = 0.0
    used_metered_j: float = 0.0
    used_modelled_j: float = 0.0
    saved_metered_j: float = 0.0
    saved_modelled_j: float = 0.0
    wakes_j: float = 0.0
    moves_j: float = 0.0
    cost: float = 0.0
    money_saved: float = 0.0

    def __add__(self, other: Energy) -> Energy:
        return Energy(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Energy)))

    @property
    def used_j(self) -> float:
        """What the hosts drew."""
        return self.used_metered_j + self.used_modelled_j

    @property
    def net_saved_j(self) -> float:
        """What sleeping hosts saved, less what waking them and moving guests for it took."""
        return self.saved_metered_j + self.saved_modelled_j - self.wakes_j - self.moves_j

    @property
    def metered_ratio(self) -> float:
        """The part of what was saved that meters stand behind, 0 to 1."""
        whole = abs(self.saved_metered_j) + abs(self.saved_modelled_j)
        return abs(self.saved_metered_j) / whole if whole else 0.0


NOTHING = Energy()


@dataclass(frozen=True, slots=True)
class EnergyDay:
    """What is known of one day. `until` is where the next span begins; `asleep` the hosts that slept then."""

    day: str
    until: datetime
    asleep: tuple[str, ...] = ()
    night: Energy = NOTHING
    rest: Energy = NOTHING
    currency: str = ""

    @property
    def whole(self) -> Energy:
        """Night and rest together."""
        return self.night + self.rest


def total(days: Iterable[EnergyDay]) -> Energy:
    """Return the sums over some days."""
    return sum((day.whole for day in days), NOTHING)


def kwh(joules: float) -> float:
    """Return joules as kWh."""
    return joules / JOULES_PER_KWH


def write(day: EnergyDay) -> str:
    """Return a day as the store keeps it."""
    document = {
        "until": day.until.isoformat(),
        "asleep": day.asleep,
        "night": _parts(day.night),
        "rest": _parts(day.rest),
        "currency": day.currency,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def read(day: str, text: str) -> EnergyDay | None:
    """Read what `write` wrote; `None` for anything else: a day less in the history, no trouble."""
    try:
        kept = json.loads(text)
        return EnergyDay(
            day,
            datetime.fromisoformat(kept["until"]),
            tuple(str(host) for host in kept["asleep"]),
            _energy(kept["night"]),
            _energy(kept["rest"]),
            str(kept["currency"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


_NAMES = frozenset(one.name for one in fields(Energy))


def _parts(energy: Energy) -> dict[str, float]:
    return {name: round(value, 6) for name, value in asdict(energy).items() if value}


def _energy(kept: dict[str, float]) -> Energy:
    return Energy(**{name: float(value) for name, value in kept.items() if name in _NAMES})
