"""What a kWh costs at a moment and over a span of time. Pure.

Money is in the configured currency. Without any price nothing is known of money: `is_known` is false, `per_kwh` 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.config.energy import EnergySettings, PriceSettings
from cluster.config.settings import Settings
from cluster.windows import is_open

JOULES_PER_KWH = 3_600_000.0
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Prices:
    """The usual price and those of some hours."""

    energy: EnergySettings = EnergySettings()
    hours: tuple[PriceSettings, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether any price was given."""
        return self.energy.price_per_kwh > 0 or bool(self.hours)

    def per_kwh(self, at: datetime) -> float:
        """Return the price at a moment: the first entry whose hours hold it, or else the usual one."""
        for one in self.hours:
            if is_open(one, at):
                return one.per_kwh
        return self.energy.price_per_kwh

    def mean_per_kwh(self, start: datetime, end: datetime) -> float:
        """Return the mean price over a span, weighted by time; the price at its start for one that is empty."""
        total_s = (end - start).total_seconds()
        if not self.hours or total_s <= 0:
            return self.per_kwh(start)
        sum_, at = 0.0, start
        while at < end:
            # Hours begin and end on whole minutes, in whatever time zone.
            until = min(end, at.replace(second=0, microsecond=0) + _MINUTE)
            sum_ += self.per_kwh(at) * (until - at).total_seconds()
            at = until
        return sum_ / total_s


def prices_of(settings: Settings) -> Prices:
    """Return the configured prices."""
    return Prices(settings.energy, settings.prices)
