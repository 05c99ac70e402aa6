"""The `[power]` section and the `bmc` table: what is right, and one line for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.config.loader import load_settings
from cluster.config.power import BmcDriver, BmcSettings, PowerSettings
from cluster.config.power_codecs import BMC, POWER
from cluster.config.settings import Settings
from cluster.errors import InputError
from tests.cluster.documents import refusal

REDFISH = 'driver = "redfish", address = "https://bmc", user = "u", password_file = "/p"'


def load(tmp_path: Path, bmc: str) -> Settings:
    """Load a host with this table."""
    path = tmp_path / "t.toml"
    path.write_text(f'[[hosts]]\nid = "h1"\nbmc = {{ {bmc} }}\n', encoding="utf-8")
    return load_settings(path).settings


def test_every_setting_has_its_codec() -> None:
    """A field without a codec could never be set."""
    assert set(POWER) == set(PowerSettings.__dataclass_fields__)
    assert set(BMC.keys) == set(BmcSettings.__dataclass_fields__)


@pytest.mark.parametrize(
    ("bmc", "driver"),
    [
        (REDFISH, BmcDriver.REDFISH),
        (REDFISH.replace("https://bmc", "bmc:8443"), BmcDriver.REDFISH),
        (REDFISH.replace("https", "http") + ", verify_tls = false", BmcDriver.REDFISH),
        ('driver = "ipmi", address = "[fe80::1]:623", user = "u", password_file = "/p"', BmcDriver.IPMI),
        ('driver = "wake_on_lan", mac = "52-54-00-12-34-56"', BmcDriver.WAKE_ON_LAN),
        (
            'driver = "wake_on_lan", mac = "52:54:00:12:34:56", suspend_by = "ssh", address = "h1:22"',
            BmcDriver.WAKE_ON_LAN,
        ),
        ('driver = "libvirt", sleep_for_s = 60', BmcDriver.LIBVIRT),
        ('driver = "command", command = ["/usr/local/bin/p", "-x"]', BmcDriver.COMMAND),
        ('driver = "simulated"', BmcDriver.SIMULATED),
    ],
)
def test_each_driver_with_what_it_needs_loads(tmp_path: Path, bmc: str, driver: BmcDriver) -> None:
    """And is written as it is read."""
    (host,) = load(tmp_path, bmc).hosts
    assert host.bmc is not None
    assert host.bmc.driver is driver
    assert not load_settings(None, default_path=tmp_path / "none").settings.hosts


@pytest.mark.parametrize(
    ("bmc", "said"),
    [
        ('driver = "redfsh"', 'did you mean "redfish"?'),
        ('driver = "redfish"', "bmc.address: found nothing (the key is missing); allowed: a value, with driver"),
        (REDFISH.replace("https", "http"), "the password goes in the clear"),
        (REDFISH.replace("https://bmc", "https://u:secret@bmc"), "found a URL with a user"),
        (REDFISH.replace("https://bmc", "https://bmc/redfish/v1"), "allowed: https://HOST[:PORT]"),
        (REDFISH.replace("https://bmc", "ftp://bmc"), "allowed: https://HOST[:PORT]"),
        (REDFISH.replace("https://bmc", "https://bmc:99999"), "found a broken URL"),
        (REDFISH.replace('"u"', '"-u"'), "does not begin with -"),
        (REDFISH.replace('"u"', '"a b"'), "a name without spaces"),
        (REDFISH + ', password = "x"', "did you mean password_file?"),
        ('driver = "ipmi", address = "-oProxy", user = "u", password_file = "/p"', "allowed: HOST, or HOST:PORT"),
        ('driver = "ipmi", address = "https://b", user = "u", password_file = "/p"', "allowed: HOST, or HOST:PORT"),
        ('driver = "ipmi", address = "b", user = "u", password_file = "/p", cipher_suite = 0', "from 3 to 17"),
        ('driver = "wake_on_lan"', "bmc.mac"),
        ('driver = "wake_on_lan", mac = "52:54:00:12:34"', "a hardware address"),
        ('driver = "wake_on_lan", mac = "52:54:00:12:34:56", suspend_by = "ssh"', "the host to suspend"),
        ('driver = "libvirt", sleep_for_s = 59', "60"),
        ('driver = "command"', "bmc.command"),
        ('driver = "command", command = ["power"]', "a program by its absolute path"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, bmc: str, said: str) -> None:
    """The key, what was found and what is allowed; never a password."""
    message = refusal(lambda: load(tmp_path, bmc))
    assert said in message
    assert "hosts[0].bmc" in message
    assert "\n" not in message and "secret" not in message


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    """A text is no table, except none."""
    path = tmp_path / "t.toml"
    path.write_text('[[hosts]]\nid = "h1"\nbmc = "none"\n', encoding="utf-8")
    assert load_settings(path).settings.hosts[0].bmc is None
    path.write_text('[[hosts]]\nid = "h1"\nbmc = "redfish"\n', encoding="utf-8")
    with pytest.raises(InputError):
        load_settings(path)


def test_the_documented_example_shows_every_key() -> None:
    """`config/trimtab.toml` is the reference of the table, too."""
    text = (Path(__file__).resolve().parents[2] / "config" / "trimtab.toml").read_text(encoding="utf-8")
    shown = {line.partition("bmc.")[2].partition(" = ")[0] for line in text.splitlines() if line.startswith("# bmc.")}
    assert shown == set(BMC.keys)
