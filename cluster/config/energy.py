"""What electricity costs, as configured: the `[energy]` section and `[[prices]]` entries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time


@dataclass(frozen=True, slots=True)
class EnergySettings:
    """The usual price of a kWh, 0 where none is given; the word for the money; how draws are looked at and used."""

    price_per_kwh: float = 0.0
    currency: str = "EUR"
    meter_every_s: float = 60.0
    fitted_curves: bool = True


@dataclass(frozen=True, slots=True)
class PriceSettings:
    """One `[[prices]]` entry: what a kWh costs at some hours. The first entry that is open counts."""

    per_kwh: float
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    start: time = time(0, 0)
    end: time = time(0, 0)
    time_zone: str = "UTC"
