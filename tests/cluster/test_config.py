"""The configuration: what it refuses and says, overrides, and where each value came from."""

from __future__ import annotations

import dataclasses
from datetime import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.config.lists import LISTS
from cluster.config.loader import APART, Loaded, load_settings, settings_to_json
from cluster.config.sections import SECTIONS
from cluster.config.settings import (
    BudgetScope,
    BudgetSettings,
    HostSettings,
    LinkSettings,
    Mode,
    Settings,
    WindowKind,
    WindowSettings,
)
from cluster.host import PowerModel
from cluster.rules import AntiAffinity, Selector
from tests.cluster.documents import accepted_or_refused, refusal

CONFIG = Path(__file__).resolve().parents[2] / "config"
NOWHERE = Path("/nonexistent/trimtab.toml")


def loaded(text: str, directory: Path, *overrides: str) -> Loaded:
    """Load a configuration of this text, in a file `trimtab.toml`."""
    path = directory / "trimtab.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, overrides)


BAD = [
    ("[scheduler", "found broken TOML ("),
    ("a = 1\na = 2", "found broken TOML ("),
    ("x = " + "[" * 20_000, "found "),
    ("[schedular]", "schedular: found an unknown key; allowed: scheduler, gate, "),
    ("scheduler = 3", "scheduler: found 3; allowed: an object with the keys mode, policy, "),
    ("[scheduler]\nmod = 'act'", "scheduler.mod: found an unknown key; allowed: mode, "),
    (
        "[scheduler]\nmode = 'akt'",
        'scheduler.mode: found "akt"; allowed: "observe", "advise" or "act"; did you mean "act"?',
    ),
    ("[scheduler]\nlevel = 0", "scheduler.level: found 0; allowed: a whole number from 1 to 5"),
    ("[scheduler]\nlevel = true", "scheduler.level: found true; allowed: a whole number from 1 to 5"),
    ("[scheduler]\nlevel = 3.0", "scheduler.level: found 3.0; allowed: a whole number from 1 to 5"),
    (
        "[scheduler]\npolicy = 'drain'",
        'scheduler.policy: found "drain"; allowed: repair, balance, consolidate; a host is drained with '
        "`trimtab drain HOST`",
    ),
    ("[scheduler]\npolicy = 'balanse'", 'scheduler.policy: found "balanse"; allowed: "repair", "balance" or '),
    ("[scheduler]\ninterval_s = 0", "scheduler.interval_s: found 0; allowed: a number above 0"),
    ("[scheduler]\ninterval_s = nan", "scheduler.interval_s: found nan; allowed: a number above 0"),
    ("[scheduler]\ninterval_s = inf", "scheduler.interval_s: found inf; allowed: a number above 0"),
    ("[scheduler]\ninterval_s = 1979-05-27", "scheduler.interval_s: found 1979-05-27; allowed: a number above 0"),
    ("[scheduler]\nwork_limit = 'non'", 'scheduler.work_limit: found "non"; allowed: "none"; did you mean "none"?'),
    ("[scheduler]\nwork_limit = -1", "scheduler.work_limit: found -1; allowed: a number above 0"),
    (
        "[scheduler]\nengine = 'dusk://h:1'",
        'scheduler.engine: found "dusk://h:1"; allowed: "local" or "dask://HOST:PORT"',
    ),
    ("[scheduler]\nengine = 'dask://h'", 'scheduler.engine: found "dask://h"; allowed: "local" or "dask://HOST:PORT"'),
    ("[scheduler]\nengine = 'dask://:1'", 'scheduler.engine: found "dask://:1"; allowed: "local" or '),
    ("[scheduler]\nengine = 'dask://h:99999'", 'scheduler.engine: found "dask://h:99999"; allowed: "local" or '),
    ("[scheduler]\nengine = 'dask://u@h:1'", 'scheduler.engine: found "dask://u@h:1"; allowed: "local" or '),
    ("[gate]\nmax_moves = 0", "gate.max_moves: found 0; allowed: a whole number from 1 up"),
    ("[gate]\nquiet_start_s = -1", "gate.quiet_start_s: found -1; allowed: a number from 0 up"),
    ("[gate]\nleast_gain_ratio = 5", "gate.least_gain_ratio: found 5; allowed: a number from 0 to 1"),
    ("[gate]\nstale_hosts_ratio = 20", "gate.stale_hosts_ratio: found 20; allowed: a number from 0 to 1"),
    ("[gate]\nkill_switch = 'stop'", 'gate.kill_switch: found "stop"; allowed: an absolute path'),
    ("[store]\nurl = 'http://h'", 'store.url: found "http://h"; allowed: embedded:, unix:/SOCKET, or redis:// or '),
    ("[store]\nurl = 'redis:///0'", 'store.url: found "redis:///0"; allowed: embedded:, '),
    ("[store]\nurl = 'redis://h/x'", 'store.url: found "redis://h/x"; allowed: embedded:, '),
    ("[store]\nurl = 'redis://h:99999'", "store.url: found a broken URL; allowed: embedded:, "),
    ("[store]\nurl = 'redis://u:secret@h'", "store.url: found a URL with a password; allowed: "),
    ("[store]\ntimeout_s = '3'", 'store.timeout_s: found "3"; allowed: a number above 0'),
    ("[collect]\nsource = 'agent'", 'collect.source: found "agent"; allowed: "agents", "libvirt", "simulated" or '),
    ("[collect]\njitter_ratio = 0.6", "collect.jitter_ratio: found 0.6; allowed: a number from 0 to 0.5"),
    ("[collect]\ndirty_rate_period_s = 61", "collect.dirty_rate_period_s: found 61; allowed: a number from 1 to 60"),
    (
        "[collect]\nsource = 'recorded'",
        "collect.recording: found an empty text; allowed: the path of a recording, with ",
    ),
    ("[limits]\ncpu = 80", "limits.cpu: found 80; allowed: a number above 0 and up to 1"),
    ("[limits]\nmemory = 0", "limits.memory: found 0; allowed: a number above 0 and up to 1"),
    ("[migration]\nmbit_s = 0", "migration.mbit_s: found 0; allowed: a number above 0"),
    ("[migration]\nper_cluster = 0", "migration.per_cluster: found 0; allowed: a whole number from 1 to 10000"),
    ("[migration]\nencryption = true", 'migration.encryption: found true; allowed: "required", "prefer" or "off"'),
    (
        "[consolidate]\nheadroom_ratio = 1",
        "consolidate.headroom_ratio: found 1; allowed: a number above 0 and up to 0.99",
    ),
    (
        "[consolidate]\nheadroom_ratio = 0",
        "consolidate.headroom_ratio: found 0; allowed: a number above 0 and up to 0.99",
    ),
    ("[consolidate]\nreserve_hosts = -1", "consolidate.reserve_hosts: found -1; allowed: a whole number from 0 up"),
    ("[guests]\noverhead_mib = -1", "guests.overhead_mib: found -1; allowed: a whole number from 0 up"),
    ("[reserve]\nmemory_ratio = 1", "reserve.memory_ratio: found 1; allowed: a number from 0 to 0.99"),
    ("[simulator]\nhosts = 0", "simulator.hosts: found 0; allowed: a whole number from 1 to 100000"),
    # two thresholds that touch or cross
    ("[collect]\nstale_s = 10", "collect.stale_s: found 10; allowed: above collect.interval_s (10)"),
    ("[collect]\ninterval_s = 90", "collect.stale_s: found 90; allowed: above collect.interval_s (90)"),
    ("[collect]\nreport_ttl_s = 60", "collect.report_ttl_s: found 60; allowed: above collect.stale_s (90)"),
    ("[scheduler]\nlease_s = 3", "scheduler.lease_s: found 3; allowed: above store.timeout_s (3)"),
    (
        "[collect]\ndirty_rate_every_s = 1",
        "collect.dirty_rate_every_s: found 1; allowed: above collect.dirty_rate_period_s",
    ),
    # hosts
    ("[hosts]", "hosts: found an object; allowed: a list"),
    ("[[hosts]]", "hosts[0].id: found nothing (the key is missing); allowed: text, not empty"),
    (
        "[[hosts]]\nid = 'a'\n[[hosts]]\nid = 'a'",
        'hosts[1].id: found "a", which hosts[0] is already; allowed: each host ',
    ),
    ("[[hosts]]\nid = 'a'\nuri = 'kvm-1'", 'hosts[0].uri: found "kvm-1"; allowed: a libvirt URI such as '),
    ("[[hosts]]\nid = 'a'\nmode = 'of'", 'hosts[0].mode: found "of"; allowed: "observe", "advise" or "act"'),
    (
        "[[hosts]]\nid = 'a'\npower = { state = 'on' }",
        "hosts[0].power.state: found an unknown key; allowed: controllable, ",
    ),
    (
        "[[hosts]]\nid = 'a'\npower = { watts = [[0.1, 5]] }",
        "hosts[0].power.watts[0][0]: found 0.1; allowed: 0 as the ",
    ),
    (
        "[[hosts]]\nid = 'a'\nreserved_memory_mib = -1",
        "hosts[0].reserved_memory_mib: found -1; allowed: a whole number ",
    ),
    ("[[hosts]]\nid = 'a'\ndomains = { host = 'x' }", 'hosts[0].domains.host: found "x"; allowed: any other key'),
    # links and budgets
    ("[[links]]\nname = 'r1'\nmbit_s = 0\nhosts = ['a']", "links[0].mbit_s: found 0; allowed: a number above 0"),
    ("[[links]]\nname = 'r1'\nmbit_s = 5\nhosts = []", "links[0].hosts: found a list of 0; allowed: ids of the hosts "),
    (
        "[[links]]\nname='r'\nmbit_s=5\nhosts=['a']\n[[links]]\nname='r'\nmbit_s=5\nhosts=['a']",
        'links[1].name: found "r", which links[0] is already; allowed: each link name once',
    ),
    (
        "[[hosts]]\nid='kvm-1'\n[[links]]\nname='r'\nmbit_s=5\nhosts=['kvm-2']",
        'links[0].hosts: found "kvm-2"; allowed: one of [[hosts]]; did you mean kvm-1?',
    ),
    ("[[budgets]]\nscope = 'rack'\nmbit_s = 5", 'budgets[0].scope: found "rack"; allowed: "host_out", "host_in", '),
    ("[[budgets]]\nscope = 'link'\nmbit_s = 5\nname = 'r'", 'budgets[0].name: found "r"; allowed: one of [[links]]'),
    ("[[budgets]]\nscope = 'cluster'\nmbit_s = 5\nname = 'r'", 'budgets[0].name: found "r"; allowed: no name, with '),
    (
        "[[hosts]]\nid='a'\n[[budgets]]\nscope = 'host_in'\nmbit_s = 5\nname = 'b'",
        'budgets[0].name: found "b"; allowed: one of [[hosts]]',
    ),
    # windows
    ("[[windows]]\nfrom = '01:00'", "windows[0].kind: found nothing (the key is missing); allowed: "),
    ("[[windows]]\nkind = 'day'", 'windows[0].kind: found "day"; allowed: "act", "blackout" or "night"'),
    (
        "[[windows]]\nkind = 'act'\nfrom = '24:00'",
        'windows[0].from: found "24:00"; allowed: a time of day "HH:MM" from ',
    ),
    ("[[windows]]\nkind = 'act'\nfrom = 07:30:00", "windows[0].from: found 07:30:00; allowed: a time of day "),
    (
        "[[windows]]\nkind = 'act'\nstart = '07:30'",
        "windows[0].start: found an unknown key; allowed: kind, days, from, to, ",
    ),
    ("[[windows]]\nkind = 'act'\ndays = []", "windows[0].days: found a list of 0; allowed: each of mon, tue, "),
    (
        "[[windows]]\nkind = 'act'\ndays = ['mon', 'mon']",
        "windows[0].days: found a list of 2; allowed: each of mon, tue, ",
    ),
    ("[[windows]]\nkind = 'act'\ndays = ['monday']", 'windows[0].days[0]: found "monday"; allowed: "mon", "tue", '),
    (
        "[[windows]]\nkind = 'act'\ntime_zone = 'Mars/Base'",
        'windows[0].time_zone: found "Mars/Base"; allowed: the name of ',
    ),
    ("[[windows]]\nkind = 'act'\ntime_zone = '../etc'", 'windows[0].time_zone: found "../etc"; allowed: the name of '),
    # rules
    (
        "[[rules]]\nkind = 'pin'\nguests = ['g']",
        "rules[0].hosts: found nothing (the key is missing); allowed: an object ",
    ),
    (
        "[[rules]]\nkind='pin'\nguests=['g']\nhosts=['a']\n[[rules]]\nkind='forbid'\nguests=['g']\nhosts=['a']",
        "rules: found pin:pin-1 pinning guest g to hosts that forbid:forbid-1 forbids; allowed: rules that can hold ",
    ),
]


@pytest.mark.parametrize(("text", "says"), BAD)
def test_bad_configuration_is_refused_on_one_line(text: str, says: str, tmp_path: Path) -> None:
    """Each kind of bad configuration is refused with its file, its key, what was found and what is allowed."""
    said = refusal(lambda: loaded(text, tmp_path))
    assert said.startswith(f"{tmp_path}/trimtab.toml: {says}")
    assert "secret" not in said


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("scheduler.level", 'found "scheduler.level"; allowed: section.key=value'),
        ("level=3", 'found "level=3"; allowed: section.key=value'),
        ("schedular.level=3", "schedular.level: found an unknown key; allowed: scheduler, "),
        ("scheduler.levle=3", "scheduler.levle: found an unknown key; allowed: mode, "),
        ("hosts.id=a", "hosts.id: found an unknown key; allowed: scheduler, "),
        ("scheduler.level=9", "scheduler.level: found 9; allowed: a whole number from 1 to 5"),
        ("scheduler.level=3\nmode='act'", r'scheduler.level: found "3\nmode='),
        ("scheduler.level=", 'scheduler.level: found ""; allowed: a whole number from 1 to 5'),
        ("collect.stale_s=5", "collect.stale_s: found 5; allowed: above collect.interval_s (10)"),
    ],
)
def test_bad_overrides_are_refused_on_one_line(override: str, says: str) -> None:
    """Each kind of bad `--set` is refused with its key, what was found and what is allowed."""
    assert refusal(lambda: load_settings(None, [override], default_path=NOWHERE)).startswith(f"--set: {says}")


def test_a_misspelt_key_is_told_the_right_one(tmp_path: Path) -> None:
    """The nearest key is offered, in the file and in `--set`."""
    assert refusal(lambda: loaded("[gate]\nmax_move = 3", tmp_path)).endswith("; did you mean max_moves?")
    assert refusal(lambda: loaded("", tmp_path, "gat.max_moves=3")).endswith("; did you mean gate?")


def test_without_a_file_every_default_holds() -> None:
    """Where the default file does not exist, the settings are the defaults and every origin says so."""
    without = load_settings(default_path=NOWHERE)
    assert without.settings == Settings()
    assert without.path is None
    assert set(without.origins.values()) == {"default"}
    assert set(without.origins) == {
        *(f"{section}.{key}" for section, record in SECTIONS.items() for key in record.keys),
        *LISTS,
    }


def test_the_default_file_is_read_when_it_is_there(tmp_path: Path) -> None:
    """With no file named, the default path is read where there is one."""
    path = tmp_path / "trimtab.toml"
    path.write_text("[scheduler]\nlevel = 5\n", encoding="utf-8")
    found = load_settings(default_path=path)
    assert (found.settings.scheduler.level, found.path) == (5, path)


def test_a_named_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    """A file that was asked for by name has to be there."""
    path = tmp_path / "none.toml"
    assert refusal(lambda: load_settings(path)) == f"{path}: cannot be read: No such file or directory"


def test_what_is_set_lies_over_the_file_over_the_defaults(tmp_path: Path) -> None:
    """The last `--set` of a key wins, then the file, then the default; origins tell them apart."""
    found = loaded(
        "[scheduler]\nlevel = 4\nmode = 'advise'\n[[windows]]\nkind = 'act'\n",
        tmp_path,
        "scheduler.mode=observe",
        "scheduler.mode = 'act'",
        "store.url=redis://[::1]:6380/2",
        "migration.mbit_s=2_000",
    )
    name = str(tmp_path / "trimtab.toml")
    assert (found.settings.scheduler.level, found.settings.scheduler.mode) == (4, Mode.ACT)
    assert (found.settings.store.url, found.settings.migration.mbit_s) == ("redis://[::1]:6380/2", 2000.0)
    assert [
        found.origins[key]
        for key in ("scheduler.level", "scheduler.mode", "scheduler.seed", "store.url", "windows", "rules")
    ] == [name, "--set", "default", "--set", name, "default"]


def test_none_takes_a_value_away(tmp_path: Path) -> None:
    """Where a key may have no value, `none` says so."""
    found = loaded("[migration]\nmbit_s = 5\n", tmp_path, "migration.mbit_s=none")
    assert found.settings.migration.mbit_s is None


def test_repeated_sections_are_read(tmp_path: Path) -> None:
    """Hosts, windows, links, budgets and rules arrive with what they say, and defaults for the rest."""
    found = loaded(
        """
        [[hosts]]
        id = "kvm-1"
        uri = "qemu+tls://kvm-1/system"
        mode = "advise"
        reserved_memory_mib = 8192
        domains = { rack = "r1" }
        storage = ["ceph"]
        power = { controllable = true, watts = [[0, 110], [1, 320]] }
        x_serial = "A1"

        [[windows]]
        kind = "night"
        days = ["fri", "mon"]
        from = "22:00"
        to = "05:30"
        time_zone = "Europe/Lisbon"

        [[links]]
        name = "uplink"
        mbit_s = 4000
        hosts = ["kvm-1"]

        [[budgets]]
        scope = "host_out"
        mbit_s = 300
        days = ["sat"]

        [[rules]]
        kind = "anti_affinity"
        guests = { app = "web" }
        """,
        tmp_path,
    ).settings
    assert found.hosts == (
        HostSettings(
            id="kvm-1",
            uri="qemu+tls://kvm-1/system",
            mode=Mode.ADVISE,
            reserved_memory_mib=8192,
            domains={"rack": "r1"},
            storage=("ceph",),
            power=PowerModel(controllable=True, watts=((0.0, 110.0), (1.0, 320.0))),
        ),
    )
    assert found.windows == (
        WindowSettings(WindowKind.NIGHT, (0, 4), time(22, 0), time(5, 30), time_zone="Europe/Lisbon"),
    )
    assert found.links == (LinkSettings("uplink", 4000.0, ("kvm-1",)),)
    assert found.budgets == (BudgetSettings(BudgetScope.HOST_OUT, 300.0, days=(5,)),)
    assert found.budgets[0].has_window and not BudgetSettings(BudgetScope.CLUSTER, 1.0).has_window
    assert found.rules == (AntiAffinity(name="anti_affinity-1", guests=Selector(labels={"app": "web"})),)


def test_every_setting_has_a_key() -> None:
    """No field of a section is out of the file's reach."""
    for section, record in SECTIONS.items():
        fields = dataclasses.fields(getattr(Settings(), section))
        assert set(record.codecs) == {field.name for field in fields}, section
    assert {*SECTIONS, *LISTS} == {field.name for field in dataclasses.fields(Settings)}


def test_pairs_of_thresholds_are_keys_that_exist() -> None:
    """The table of pairs names numbers, and the defaults keep them apart."""
    written = settings_to_json(Settings())
    for low, high in APART:
        below, above = (written[key.split(".")[0]][key.split(".")[1]] for key in (low, high))
        assert below < above


_HUGE = "0x" + "f" * 6000
_VALUES = st.just(_HUGE) | st.sampled_from(
    """0 | -1 | 1e400 | nan | true | "" | "none" | "\\u0000" | [] | [[0, 0], [0, 0]] | {} | { host = 1 } | [{}]
    1979-05-27T07:32:00Z | 07:32:00 | 999999999999999999999999999999 | "2026-11-22" | ["mon", 3]""".replace(
        "\n", "|"
    ).split("|")
)
_KEYS = [*(f"{section}.{key}" for section, record in SECTIONS.items() for key in record.keys), *SECTIONS, *LISTS]


@settings(max_examples=200)
@given(key=st.sampled_from(_KEYS), text=_VALUES)
def test_any_value_of_any_key_is_read_or_refused(key: str, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One key given any value makes good settings or an input error, never another failure."""
    directory = tmp_path_factory.getbasetemp()
    accepted_or_refused(lambda: loaded(f"{key} = {text}\n", directory))
    accepted_or_refused(lambda: load_settings(None, [f"{key}={text}"], default_path=NOWHERE))


def test_a_file_cut_anywhere_is_loaded_or_refused(tmp_path: Path) -> None:
    """TOML cut short may still be TOML; it never makes the loader fail otherwise."""
    text = (CONFIG / "night-mode.toml").read_text(encoding="utf-8")
    for length in range(len(text)):
        accepted_or_refused(lambda end=length: loaded(text[:end], tmp_path))  # type: ignore[misc]
