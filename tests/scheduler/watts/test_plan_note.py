"""What a plan for the sake of power brings: by hand, and on a real plan that puts hosts to sleep."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest

from cluster.config.consolidate import ConsolidateSettings
from cluster.config.energy import EnergySettings, PriceSettings
from cluster.config.settings import Settings
from cluster.guest import Guest
from cluster.host import Host, PowerModel
from cluster.plan import Figures, Sleep, Wake
from cluster.snapshot import Snapshot
from scheduler.watts.plan_note import NOTE, with_energy
from tests.cluster.store.builders import plan
from tests.cluster.store.harness import START

POWER = PowerModel(watts=((0.0, 90.0), (1.0, 200.0)), sleep_watts=5.0, wake_s=180.0, sleep_s=20.0)
HOSTS = (Host("a", 8000, 16384, power=POWER), Host("b", 8000, 16384, power=POWER))
GUESTS: tuple[Guest, ...] = ()
SNAPSHOT = Snapshot("s", START, HOSTS, GUESTS)
SETTINGS = Settings(
    consolidate=ConsolidateSettings(horizon_s=7200.0, move_joules_per_gib=360.0),
    energy=EnergySettings(0.40, "CHF"),
    prices=(PriceSettings(0.20, start=time(21), end=time(6)),),
)
FULL, LESS = Figures(2, 400.0, 0, 0, 0, 0, 0), Figures(1, 310.0, 0, 0, 0, 0, 0)


def test_a_sleep_is_worth_its_watts_less_what_it_takes() -> None:
    """90 W over two hours, less 10 GiB moved at 360 J and 200 s at the idle 90 W; at 20:00 an hour of each price."""
    one = replace(plan("p"), before=FULL, after=LESS, moved_mib=10240)
    note = with_energy(one, SNAPSHOT, SETTINGS).extra[(NOTE,)]
    saved_kwh = (90 * 7200 - 3600 - 18000) / 3.6e6
    assert note == {
        "horizon_s": 7200.0,
        "saved_kwh": pytest.approx(saved_kwh, abs=1e-6),
        "taken_off_kwh": 0.006,
        "money_saved": pytest.approx(saved_kwh * 0.30, abs=1e-4),
        "currency": "CHF",
    }


def test_a_wake_costs() -> None:
    """More watts after than before, and no price known."""
    one = replace(plan("p", (), sleeps=False), steps=(Wake("w", "b", "the load returns"),), before=LESS, after=FULL)
    note = with_energy(one, SNAPSHOT, replace(SETTINGS, energy=EnergySettings(), prices=())).extra[(NOTE,)]
    assert isinstance(note, dict)
    assert (note["saved_kwh"], note["money_saved"], note["currency"]) == (-0.18, 0.0, None)


def test_a_plan_that_neither_sleeps_nor_wakes_has_no_note() -> None:
    """Balancing is not done for watts; other people's notes stay."""
    one = replace(plan("p", sleeps=False), before=FULL, after=LESS)
    assert with_energy(one, SNAPSHOT, SETTINGS) is one
    noted = replace(plan("p"), extra={("x_ticket",): 7})
    assert set(with_energy(noted, SNAPSHOT, SETTINGS).extra) == {("x_ticket",), (NOTE,)}
    assert any(isinstance(step, Sleep) for step in noted.steps)
