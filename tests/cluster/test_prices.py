"""What a kWh costs: by the hour, over a span, and as configured."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config.energy import EnergySettings, PriceSettings
from cluster.config.loader import load_settings
from cluster.errors import InputError
from cluster.prices import Prices, prices_of

NIGHT = PriceSettings(0.10, start=time(22), end=time(6))
WEEKEND = PriceSettings(0.15, days=(5, 6))
PRICES = Prices(EnergySettings(0.30), (NIGHT, WEEKEND))
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)

MOMENTS = st.integers(0, 14 * 24 * 3600).map(lambda seconds: MONDAY + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("hours", "price"), [(12, 0.30), (22, 0.10), (29.9, 0.10), (30, 0.30), (5 * 24 + 12, 0.15), (5 * 24 + 23, 0.10)]
)
def test_the_first_entry_that_is_open_counts(hours: float, price: float) -> None:
    """Outside all hours the usual price counts; of two entries that hold, the first."""
    assert PRICES.per_kwh(MONDAY + timedelta(hours=hours)) == price


def test_hours_are_told_by_their_own_time_zone() -> None:
    """Ten at night in Lisbon in summer is nine in UTC."""
    prices = Prices(EnergySettings(0.30), (PriceSettings(0.1, start=time(22), end=time(6), time_zone="Europe/Lisbon"),))
    assert prices.per_kwh(datetime(2026, 7, 1, 21, 0, tzinfo=UTC)) == 0.1
    assert prices.per_kwh(datetime(2026, 7, 1, 20, 59, tzinfo=UTC)) == 0.3


def test_the_mean_over_a_span_is_weighted_by_time() -> None:
    """A quarter of the span at the night's price."""
    start = MONDAY + timedelta(hours=19)
    assert PRICES.mean_per_kwh(start, start + timedelta(hours=4)) == pytest.approx(0.75 * 0.30 + 0.25 * 0.10)


@given(MOMENTS, st.integers(1, 7200), st.integers(1, 7200))
def test_a_span_costs_what_its_parts_cost(start: datetime, first_s: int, second_s: int) -> None:
    """The mean of a whole is that of its two parts by their lengths: no minute counts twice or not at all."""
    middle = start + timedelta(seconds=first_s)
    end = middle + timedelta(seconds=second_s)
    parts = PRICES.mean_per_kwh(start, middle) * first_s + PRICES.mean_per_kwh(middle, end) * second_s
    assert PRICES.mean_per_kwh(start, end) * (first_s + second_s) == pytest.approx(parts)


def test_without_a_price_none_is_known() -> None:
    """A cluster whose operator gave no price is told kWh alone."""
    assert not Prices().is_known
    assert Prices().per_kwh(MONDAY) == 0
    assert PRICES.is_known


CONFIGURED = """
[energy]
price_per_kwh = 0.30
currency = "CHF"
[[prices]]
per_kwh = 0.1
from = "22:00"
to = "06:00"
"""


def test_prices_are_configured(tmp_path: Path) -> None:
    """The section and the entries of the file are what counts."""
    path = tmp_path / "trimtab.toml"
    path.write_text(CONFIGURED, encoding="utf-8")
    prices = prices_of(load_settings(path).settings)
    assert prices == Prices(EnergySettings(0.30, "CHF"), (NIGHT,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[prices]]\nper_kwh = 0.1", "energy.price_per_kwh: found 0; allowed: above 0"),
        ("[[prices]]\nper_kwh = -0.1", "prices[0].per_kwh: found -0.1"),
        ("[energy]\nprice_kwh = 1", "did you mean price_per_kwh?"),
    ],
)
def test_wrong_prices_are_refused(tmp_path: Path, text: str, said: str) -> None:
    """Hours without a usual price, less than nothing, and misspelt keys: one line each."""
    path = tmp_path / "trimtab.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_settings(path)
    assert said in str(refused.value)
