"""Power curves: the shipped table, watts at a load, and a host's `power.model`."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config.loader import load_settings
from cluster.errors import InputError
from cluster.power_curves import BY_MODEL, Curve, watts_at

CURVES = st.sampled_from(sorted(BY_MODEL.items())).map(lambda one: one[1])


@pytest.mark.parametrize("model", BY_MODEL)
def test_every_model_has_eleven_rising_figures(model: str) -> None:
    """At 0, 10, ... 100 % load, none below the one before: what a configured curve must be, too."""
    curve = BY_MODEL[model]
    assert [load for load, _ in curve] == [step / 10 for step in range(11)]
    assert all(below <= above for (_, below), (_, above) in pairwise(curve))


@pytest.mark.parametrize(
    ("model", "load", "watts"),
    [
        ("HP ML110 G4 Xeon 3040", 0.0, 86.0),
        ("HP ML110 G5 Xeon 3075", 0.45, 113.0),
        ("Dell R740 2x Platinum 8280", 1.0, 432.0),
        ("HPE DL380 Gen10+ 2x Platinum 8380", 2.0, 647.0),
    ],
)
def test_watts_are_read_off_straight_between_points(model: str, load: float, watts: float) -> None:
    """Points as published, the middle of two between them, the last one beyond."""
    assert watts_at(BY_MODEL[model], load) == pytest.approx(watts)


@given(CURVES, st.floats(0, 1), st.floats(0, 1))
def test_more_load_never_draws_less(curve: Curve, one: float, other: float) -> None:
    """Whatever two loads are compared."""
    assert watts_at(curve, min(one, other)) <= watts_at(curve, max(one, other)) + 1e-9


def test_no_curve_draws_nothing() -> None:
    """Nothing is invented where nothing is known."""
    assert watts_at((), 0.5) == 0


def load(tmp_path: Path, power: str) -> Curve:
    """The curve of a host configured with this power."""
    path = tmp_path / "trimtab.toml"
    path.write_text(f'[[hosts]]\nid = "a"\npower = {power}\n', encoding="utf-8")
    return load_settings(path).settings.hosts[0].power.watts


def test_a_hosts_model_names_its_curve(tmp_path: Path) -> None:
    """With other keys of its power beside it."""
    assert load(tmp_path, '{ model = "Dell R7515 EPYC 7742", sleep_watts = 5 }') == BY_MODEL["Dell R7515 EPYC 7742"]


@pytest.mark.parametrize(
    ("power", "said"),
    [
        ('{ model = "Dell R7515 EPYC 7724" }', 'hosts[0].power.model: found "Dell R7515 EPYC 7724"'),
        ('{ model = "Dell R7515 EPYC 7724" }', 'did you mean "Dell R7515 EPYC 7742"?'),
        ('{ model = "Dell R7515 EPYC 7742", watts = [[0, 1]] }', "allowed: model or watts, not both"),
        ('{ modle = "Dell R7515 EPYC 7742" }', "did you mean model?"),
        ("{ model = 7 }", "hosts[0].power.model: found 7"),
    ],
)
def test_a_wrong_model_is_refused(tmp_path: Path, power: str, said: str) -> None:
    """An unknown one with the one that comes close, one beside a curve of the host's own, a misspelt key."""
    with pytest.raises(InputError) as refused:
        load(tmp_path, power)
    assert said in str(refused.value)


def test_the_manual_has_the_same_figures() -> None:
    """`docs/power.md` shows every model with its watts, as they are here."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "power.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| ([0-9. |]+) \|$", text, re.MULTILINE)
    told = {model: [float(one) for one in figures.split(" | ")] for model, figures in rows}
    assert told == {model: [watts for _, watts in curve] for model, curve in BY_MODEL.items()}


def test_the_manuals_examples_load(tmp_path: Path) -> None:
    """What a newcomer copies is right."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "power.md").read_text(encoding="utf-8")
    path = tmp_path / "trimtab.toml"
    path.write_text("\n".join(reversed(re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL))))
    settings = load_settings(path).settings
    assert [len(host.power.watts) for host in settings.hosts] == [11, 3]
    assert settings.energy.price_per_kwh == 0.30 and settings.prices[0].per_kwh == 0.18
