"""The leader's look at hosts' draw, in the real loop on a pretend cluster: sums, restarts, meters, fitted curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cluster.config.energy import EnergySettings
from cluster.config.settings import HostSettings, Mode
from cluster.energy_day import Energy, total
from cluster.history import SLOT_S, Metric, host_owner
from cluster.host import PowerModel
from cluster.power_curves import BY_MODEL, watts_at
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Sample
from cluster.watt_fit import PREFIX, NoFit, read
from scheduler.watts.curves import fit_of
from scheduler.watts.savings import Rates
from scheduler.watts.watch import WattWatch, read_days
from simulator.build import demo_settings_hosts
from simulator.guests import SteadyLoad
from tests.scheduler.stage import QUICK, Stage, in_mode
from tests.simulator.worlds import make_guest, make_host, make_world

WATCHED = replace(in_mode(Mode.OBSERVE, QUICK), energy=EnergySettings(price_per_kwh=0.5, meter_every_s=60.0))


class FakeMeters:
    """Shows what it is told."""

    def __init__(self) -> None:
        self.shown: dict[str, float] = {}
        self.troubles: Mapping[str, str] = {}

    def read(self, not_older_s: float) -> Mapping[str, float]:
        return dict(self.shown)


def fall_asleep(stage: Stage, *hosts: str) -> None:
    """Put hosts to sleep as Trimtab would."""
    for host in hosts:
        stage.world.sleep_host(host)
        stage.store.set_flag(f"power:{host}", "asleep")
    stage.run(30)


def energy(stage: Stage) -> Energy:
    """What the store knows of all days."""
    return total(read_days(stage.store, 10))


def watch(stage: Stage, meters: FakeMeters | None = None) -> WattWatch:
    """The look by itself, with meters."""
    loop = stage.loop
    return WattWatch(
        stage.store,
        stage.clock,
        lambda: stage.settings,
        lambda active: loop.see(active).snapshot,
        lambda: loop.leadership.lease,
        meters,
    )


def test_the_sums_are_those_of_the_pretend_cluster() -> None:
    """Two of three hosts asleep for a while: used as its own physics count, and 95 W saved by each, at its price."""
    stage = Stage(WATCHED)
    fall_asleep(stage, "b", "c")
    stage.run(120)
    before, joules = energy(stage), sum(stage.world.joules().values())
    stage.run(900)
    after, drawn = energy(stage), sum(stage.world.joules().values()) - joules
    assert after.seen_s - before.seen_s == pytest.approx(900, abs=61)
    hours = (after.seen_s - before.seen_s) / 3600
    assert after.used_j - before.used_j == pytest.approx(drawn, rel=0.08)
    assert after.net_saved_j - before.net_saved_j == pytest.approx(190 * 3600 * hours, rel=0.001)
    assert after.money_saved - before.money_saved == pytest.approx(0.19 * 0.5 * hours, rel=0.001)
    assert after.metered_ratio == 0


def test_a_new_leader_goes_on_where_the_last_stopped() -> None:
    """A restart within minutes loses no time and counts none twice; a long silence counts for nothing."""
    stage = Stage(WATCHED)
    fall_asleep(stage, "b")
    stage.run(120)
    first = energy(stage)
    stage.loop.leadership.release()
    stage.succeed("two")
    stage.run(240)
    assert energy(stage).seen_s - first.seen_s == pytest.approx(240, abs=61)
    stage.clock.sleep(3600)
    stage.run(240)
    assert energy(stage).seen_s - first.seen_s == pytest.approx(480, abs=121)


def test_who_does_not_lead_counts_nothing() -> None:
    """Two daemons watch; one adds up."""
    stage = Stage(WATCHED)
    stage.run(200)
    counted = energy(stage)
    other = stage.new_loop("two")
    for _ in range(5):
        other.watts.run()
        stage.clock.sleep(10)
    assert energy(stage) == counted


def test_what_a_meter_shows_counts_as_metered() -> None:
    """In place of the model's figure, for that host alone; a dead meter of a host that is on is none."""
    stage, meters = Stage(replace(WATCHED, energy=EnergySettings(meter_every_s=1e5))), FakeMeters()
    stage.run(30)
    looks = watch(stage, meters)
    meters.shown = {"a": 400.0, "b": 0.0}
    looks.run()
    stage.run(60)
    before = energy(stage)
    looks.run()
    after = energy(stage)
    assert after.used_metered_j - before.used_metered_j == pytest.approx(400 * 60, rel=0.01)
    assert after.used_modelled_j - before.used_modelled_j == pytest.approx(200 * 60, rel=0.01)
    assert looks.shown.watts == meters.shown


def test_a_good_fit_takes_the_configured_curves_place() -> None:
    """A day of readings beside the load makes a curve; the cluster is seen with it, unless that is not wanted."""
    stage, meters = Stage(WATCHED), FakeMeters()
    stage.run(30)
    true = ((0.0, 130.0), (1.0, 390.0))
    now = stage.clock.now()
    for slot in range(600):
        at, load = now - timedelta(seconds=SLOT_S * (600 - slot)), slot % 100 / 100
        figures = (
            (Metric.CPU_MILLICORES, round(load * 16000)),
            (Metric.MILLIWATTS, round(watts_at(true, load) * 1000)),
        )
        stage.store.record_samples([Sample(host_owner("a"), metric, at, value) for metric, value in figures])
    meters.shown = {"a": 200.0, "b": 100.0}
    watch(stage, meters).run()
    fitted = fit_of(stage.store.flags(), "a")
    assert fitted is not None and fitted.pairs >= 599
    seen = stage.loop.see(None).snapshot.host_by_id
    assert watts_at(seen["a"].power.watts, 0.5) == pytest.approx(260, rel=0.02)
    assert watts_at(seen["b"].power.watts, 0.5) == 200
    none = read(stage.store.flags()[PREFIX + "b"])
    assert none is not None and isinstance(none[0], NoFit) and "are needed" in none[0].why
    assert PREFIX + "c" not in stage.store.flags()
    stage.configure(replace(WATCHED, energy=replace(WATCHED.energy, fitted_curves=False)))
    assert stage.loop.see(None).snapshot.host_by_id["a"].power.watts == ((0.0, 100.0), (1.0, 300.0))


def test_a_bmcs_reading_is_kept_beside_the_load() -> None:
    """Both in the host's rings, so that a curve can be fitted; of a host that sleeps nothing is kept."""
    stage, meters = Stage(WATCHED), FakeMeters()
    fall_asleep(stage, "c")
    meters.shown = {"a": 250.0, "c": 4.0}
    watch(stage, meters).run()
    now = stage.clock.now()
    assert stage.store.usage(host_owner("a"), Metric.MILLIWATTS).latest(now, 1) == [250_000]
    assert stage.store.usage(host_owner("a"), Metric.CPU_MILLICORES).latest(now, 1) == [6000]
    assert stage.store.usage(host_owner("c"), Metric.MILLIWATTS).latest(now, 1) == []


def test_a_host_without_a_curve_is_taken_for_a_common_server() -> None:
    """So that what is saved there is not nothing; it counts as modelled."""
    stage = Stage(WATCHED)
    power = PowerModel(controllable=True, sleep_watts=5.0)
    hosts = tuple(replace(one, power=power) if one.id == "b" else one for one in stage.settings.hosts)
    assert all(isinstance(host, HostSettings) for host in hosts)
    stage.settings = stage.loop.settings = replace(stage.settings, hosts=hosts)
    fall_asleep(stage, "b")
    stage.run(150)
    assert energy(stage).saved_modelled_j > 0


def test_rates_over_no_time_are_nothing() -> None:
    """Whatever is drawn."""
    assert Rates(used_modelled=100.0, asleep=1).over(0.0, 0.3) == Energy()


def test_the_status_tells_draws_and_what_was_saved() -> None:
    """Each host's watts and how they are known, the sum, the hosts asleep, and today's saving with its money."""
    stage, meters = Stage(WATCHED), FakeMeters()
    fall_asleep(stage, "b")
    stage.run(200)
    meters.shown, meters.troubles = {"a": 400.0}, {"c": "host c: its BMC hangs"}
    stage.loop.watts = watch(stage, meters)
    stage.loop.watts.run()
    status: Any = stage.loop.status()
    rows = {row["id"]: (row["watts"], row["metered"], row["curve"], row["power"]) for row in status["hosts"]}
    assert rows == {
        "a": (400.0, True, "configured", "on"),
        "b": (5.0, False, "configured", "asleep"),
        "c": (100.0, False, "configured", "on"),
    }
    energy_now = status["energy"]
    assert (energy_now["watts"], energy_now["metered_watts"], energy_now["hosts_asleep"]) == (505.0, 400.0, 1)
    assert energy_now["currency"] == "EUR"
    assert energy_now["today"]["saved_kwh"] > 0
    assert energy_now["today"]["money_saved"] == pytest.approx(energy_now["today"]["saved_kwh"] * 0.5, abs=1e-4)
    (no_fit,) = [row["no_fit"] for row in status["hosts"] if row["no_fit"]]
    assert "are needed" in no_fit
    assert [row["meter_trouble"] for row in status["hosts"]] == [None, None, "host c: its BMC hangs"]


class Placed(Stage):
    """Hosts a, b, c with the curve of a server model, and a guest of two cores on each host named."""

    def __init__(self, places: str) -> None:
        super().__init__(WATCHED)
        curve = BY_MODEL["Dell R740 2x Platinum 8280"]
        hosts = [replace(host, power=replace(host.power, watts=curve)) for host in map(make_host, "abc")]
        guests = [make_guest(f"g{number}", host, load=SteadyLoad(2000)) for number, host in enumerate(places)]
        self.world, self.clock = make_world(guests, hosts)
        self.store = MemoryStore(self.clock)
        self.settings = replace(WATCHED, hosts=demo_settings_hosts(self.world))
        self.succeed("one")


def test_what_is_told_saved_is_what_a_twin_with_all_on_draws_more() -> None:
    """The same guests, packed on one host beside two asleep, and spread over all three, by the world's own physics."""
    drawn, told = {}, 0.0
    for name, places in (("packed", "aaaaaa"), ("spread", "aabbcc")):
        stage = Placed(places)
        if name == "packed":
            fall_asleep(stage, "b", "c")
        stage.run(120)
        before, counted = sum(stage.world.joules().values()), energy(stage)
        stage.run(600)
        drawn[name] = sum(stage.world.joules().values()) - before
        if name == "packed":
            told = energy(stage).net_saved_j - counted.net_saved_j
    assert told == pytest.approx(drawn["spread"] - drawn["packed"], rel=0.05)
    assert told > 0
