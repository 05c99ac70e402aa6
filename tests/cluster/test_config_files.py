"""The files in config/: the documented configuration, the presets and the service units."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from configparser import ConfigParser
from itertools import pairwise
from pathlib import Path

import pytest

from cluster.config.loader import load_settings, settings_to_json
from cluster.config.sections import SECTIONS
from cluster.config.settings import CollectSource, Encryption, HostSettings, Mode, Settings, WindowKind
from cluster.errors import InputError
from cluster.formats.rules_file import KINDS
from cluster.host import PowerModel

CONFIG = Path(__file__).resolve().parents[2] / "config"
DOCUMENTED = CONFIG / "trimtab.toml"
PRESETS = sorted(CONFIG.glob("*.toml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_every_file_in_config_loads(path: Path) -> None:
    """What we ship is right."""
    assert load_settings(path).path == path


def test_the_documented_configuration_is_the_default() -> None:
    """`config/trimtab.toml` lists every key of every section, with its real default, and changes nothing."""
    assert load_settings(DOCUMENTED).settings == Settings()
    listed = tomllib.loads(DOCUMENTED.read_text(encoding="utf-8"))
    defaults = settings_to_json(Settings())
    assert listed == {section: defaults[section] for section in SECTIONS}


def test_every_documented_key_has_its_line() -> None:
    """Above each key of `config/trimtab.toml` a comment says what it is."""
    lines = DOCUMENTED.read_text(encoding="utf-8").splitlines()
    for above, line in pairwise(lines):
        if re.match(r"\w+ = ", line):
            assert above.startswith("# "), line


def test_the_commented_examples_are_right_and_whole(tmp_path: Path) -> None:
    """The examples of repeated sections load once uncommented, and show every key and every kind of rule."""
    text = DOCUMENTED.read_text(encoding="utf-8")
    blocks = re.findall(r"^# \[\[\w+\]\]\n(?:^# .*\n)*", text, flags=re.MULTILINE)
    example = "energy.price_per_kwh = 0.3\n" + "\n".join(
        re.sub(r"^# ", "", block, flags=re.MULTILINE) for block in blocks
    )
    path = tmp_path / "example.toml"
    path.write_text(example, encoding="utf-8")
    found = load_settings(path).settings
    assert {rule.kind for rule in found.rules} == set(KINDS)
    shown = tomllib.loads(example)
    assert set(shown["hosts"][0]) == {field.name for field in dataclasses.fields(HostSettings)}
    assert set(shown["windows"][0]) == {"kind", "days", "from", "to", "time_zone", "depth", "awake_by"}
    assert set(shown["links"][0]) == {"name", "mbit_s", "hosts"}
    assert set(shown["budgets"][0]) == {"scope", "name", "mbit_s", "days", "from", "to", "time_zone"}
    assert set(shown["prices"][0]) == {"per_kwh", "days", "from", "to", "time_zone"}
    assert set(shown["hosts"][0]["power"]) == {field.name for field in dataclasses.fields(PowerModel)} - {"state"}


def test_presets_are_what_they_are_called() -> None:
    """Each preset does what its name promises, and only the demo and the night act by themselves."""
    by_name = {path.stem: load_settings(path).settings for path in PRESETS}
    demo = by_name["demo"]
    assert (demo.scheduler.mode, demo.collect.source) == (Mode.ACT, CollectSource.SIMULATED)
    assert (demo.simulator.hosts, demo.simulator.guests, demo.gate.quiet_start_s) == (12, 120, 0.0)
    assert demo.store.url == "embedded:" and not demo.store.directory.startswith("/")
    hardened = by_name["hardened"]
    assert hardened.migration.encryption is Encryption.REQUIRED
    assert hardened.store.url.startswith("rediss://") and hardened.store.password_file
    assert by_name["conservative"].gate.max_moves < Settings().gate.max_moves
    assert WindowKind.NIGHT in {window.kind for window in by_name["night-mode"].windows}
    assert len(by_name["two-hosts"].hosts) == 2
    assert {name for name, one in by_name.items() if one.scheduler.mode is Mode.ACT} == {"demo", "night-mode"}


@pytest.mark.parametrize(
    ("unit", "verb", "kind"), [("trimtab.service", "run", "notify"), ("trimtab-agent.service", "agent", "exec")]
)
def test_service_units_start_the_right_verb(unit: str, verb: str, kind: str) -> None:
    """The systemd units start `trimtab` with its configuration, and leave bad configuration alone."""
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(CONFIG / unit)
    service = parser["Service"]
    assert service["Type"] == kind
    assert re.search(rf"/trimtab {verb} --config /etc/trimtab/trimtab\.toml$", service["ExecStart"])
    assert service["RestartPreventExitStatus"] == str(InputError.exit_status)
    assert ("HUP" in service.get("ExecReload", "")) == (verb == "run")
