"""The cluster file: what it refuses and says, every default of the contract's table, and exact round trips."""

from __future__ import annotations

import json
import pathlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import InputError
from cluster.formats.cluster_file import NO_REASON, load_cluster, read_cluster, snapshot_id, write_cluster
from cluster.guest import Dirty, Guest, MigrationPolicy, Usage
from cluster.host import Host, PowerModel, PowerState, Reserved
from cluster.rules import AntiAffinity, Enforcement, Selector
from cluster.snapshot import Snapshot
from tests.cluster.documents import CLUSTER, GONE, Path, accepted_or_refused, changed, odd_values, paths, refusal
from tests.strategies import snapshots

HOST: Path = ("hosts", 0)
GUEST: Path = ("guests", 0)
WHOLE_UP = "allowed: a whole number from 0 up"
TIME = "allowed: a time such as 2026-11-22T20:00:00Z (RFC 3339, with Z or an offset)"
POWER_KEYS = "state, controllable, watts, sleep_watts, wake_s, sleep_s"

BAD: list[tuple[Path, object, str]] = [
    # the document
    (("schema",), GONE, 'schema: found nothing (the key is missing); allowed: "trimtab.cluster/1"'),
    (("schema",), "trimtab.cluster/2", 'schema: found "trimtab.cluster/2"; allowed: "trimtab.cluster/1"'),
    (
        ("guest",),
        [],
        "guest: found an unknown key; allowed: schema, taken_at, hosts, guests, rules; did you mean guests?",
    ),
    (("taken_at",), GONE, f"taken_at: found nothing (the key is missing); {TIME}"),
    (("taken_at",), "2026-11-22T20:00:00", f'taken_at: found "2026-11-22T20:00:00"; {TIME}'),
    (("taken_at",), "2026-11-31T20:00:00Z", f'taken_at: found "2026-11-31T20:00:00Z"; {TIME}'),
    (("taken_at",), "0001-01-01T00:00:00+23:00", f'taken_at: found "0001-01-01T00:00:00+23:00"; {TIME}'),
    (("taken_at",), 1795000000, f"taken_at: found 1795000000; {TIME}"),
    (("hosts",), {}, "hosts: found an object; allowed: a list of hosts"),
    (("guests",), GONE, "guests: found nothing (the key is missing); allowed: a list of guests"),
    # wrong types
    ((*HOST,), 3, "hosts[0]: found 3; allowed: an object with the keys id, "),
    ((*HOST, "memory_mib"), True, f"hosts[0].memory_mib: found true; {WHOLE_UP}"),
    ((*HOST, "memory_mib"), "big", f'hosts[0].memory_mib: found "big"; {WHOLE_UP}'),
    ((*HOST, "memory_mib"), 262144.0, f"hosts[0].memory_mib: found 262144.0; {WHOLE_UP}"),
    ((*HOST, "memory_mib"), None, f"hosts[0].memory_mib: found null; {WHOLE_UP}"),
    ((*HOST, "reachable"), 1, "hosts[0].reachable: found 1; allowed: true or false"),
    ((*HOST, "labels"), [], "hosts[0].labels: found a list of 0; allowed: an object of texts"),
    ((*HOST, "labels", "a b"), 7, 'hosts[0].labels["a b"]: found 7; allowed: text'),
    ((*HOST, "storage"), "ceph", 'hosts[0].storage: found "ceph"; allowed: a list'),
    ((*HOST, "storage", 0), {}, "hosts[0].storage[0]: found an object; allowed: text, not empty"),
    ((*GUEST, "usage"), GONE, "guests[0].usage: found nothing (the key is missing); allowed: an object with the keys "),
    # wrong values
    ((*HOST, "id"), "", 'hosts[0].id: found ""; allowed: printable text of 1 to 256 characters'),
    ((*HOST, "id"), "a\nb", r'hosts[0].id: found "a\nb"; allowed: printable text of 1 to 256 characters'),
    ((*HOST, "cpu_millicores"), -1, f"hosts[0].cpu_millicores: found -1; {WHOLE_UP}"),
    ((*HOST, "cpu_millicores"), 2**53 + 1, f"hosts[0].cpu_millicores: found 9007199254740993; {WHOLE_UP}"),
    ((*HOST, "cpu_millicores"), 10**400, f"hosts[0].cpu_millicores: found a number of over 128 bits; {WHOLE_UP}"),
    ((*HOST, "net_mbit_s"), -0.5, "hosts[0].net_mbit_s: found -0.5; allowed: a number from 0 up"),
    ((*HOST, "net_mbit_s"), 1e300, "hosts[0].net_mbit_s: found 1e+300; allowed: a number from 0 up"),
    ((*HOST, "net_mbit_s"), float("nan"), "hosts[0].net_mbit_s: found nan; allowed: a finite number"),
    ((*HOST, "net_mbit_s"), float("inf"), "hosts[0].net_mbit_s: found inf; allowed: a finite number"),
    ((*HOST, "migration_mbit_s"), 0, "hosts[0].migration_mbit_s: found 0; allowed: a number above 0"),
    ((*HOST, "measured_at"), "yesterday", f'hosts[0].measured_at: found "yesterday"; {TIME}'),
    ((*HOST, "domains", "host"), "x", 'hosts[0].domains.host: found "x"; allowed: any other key ('),
    (
        (*HOST, "power", "state"),
        "asleap",
        'hosts[0].power.state: found "asleap"; allowed: "on", "asleep", "off", "waking" or "unknown"; '
        'did you mean "asleep"?',
    ),
    (
        (*HOST, "power", "Watts"),
        [],
        f"hosts[0].power.Watts: found an unknown key; allowed: {POWER_KEYS}; did you mean watts?",
    ),
    ((*GUEST, "vcpus"), 0, "guests[0].vcpus: found 0; allowed: a whole number from 1 up"),
    ((*GUEST, "memory_mib"), GONE, "guests[0].memory_mib: found nothing (the key is missing); allowed: a whole "),
    ((*GUEST, "priority"), 2**40, "guests[0].priority: found 1099511627776; allowed: a whole number from -2147483648 "),
    ((*GUEST, "migration", "max_downtime_ms"), 0, "guests[0].migration.max_downtime_ms: found 0; allowed: a whole "),
    # the curve of watts
    ((*HOST, "power", "watts", 0, 0), 0.1, "hosts[0].power.watts[0][0]: found 0.1; allowed: 0 as the first load"),
    ((*HOST, "power", "watts", 2, 0), 1.5, "hosts[0].power.watts[2][0]: found 1.5; allowed: a number from 0 to 1"),
    ((*HOST, "power", "watts", 2, 0), 0.5, "hosts[0].power.watts[2][0]: found 0.5; allowed: a load above the one "),
    ((*HOST, "power", "watts", 2, 1), 200, "hosts[0].power.watts[2][1]: found 200; allowed: no fewer watts than at "),
    ((*HOST, "power", "watts", 1), [0.5], "hosts[0].power.watts[1]: found a list of 1; allowed: a pair [CPU load, "),
    ((*HOST, "power", "watts"), 300, "hosts[0].power.watts: found 300; allowed: a list of [CPU load, watts]"),
    # contradictions
    (
        ("hosts", 1, "id"),
        "kvm-a1",
        'hosts[1].id: found "kvm-a1", which hosts[0] is already; allowed: each host id once',
    ),
    (("guests", 0, "id"), "web-2", 'guests[1].id: found "web-2", which guests[0] is already; allowed: each guest id '),
    (
        (*GUEST, "host"),
        "kvm-a",
        'guests[0].host: found "kvm-a"; allowed: the id of a host of this file; did you mean "kvm-a1"?',
    ),
    (
        (*HOST, "reserved", "memory_mib"),
        262144,
        "hosts[0].reserved.memory_mib: found 262144; allowed: less than the host's memory_mib (262144)",
    ),
    ((*HOST, "reserved", "cpu_millicores"), 64000, "hosts[0].reserved.cpu_millicores: found 64000; allowed: less "),
    ((*GUEST, "why_not"), "no", 'guests[0].why_not: found "no"; allowed: null while movable is true, or movable false'),
    (
        (*GUEST, "usage", "cpu_millicores"),
        None,
        "guests[0].usage.cpu_millicores: found null; allowed: a whole number (null only while the guest's host, "
        "here kvm-a1, is unreachable or stale)",
    ),
    ((*GUEST, "usage", "cpu_millicores"), GONE, "guests[0].usage.cpu_millicores: found nothing (the key is missing); "),
    (
        ("rules", 1),
        {"kind": "pin", "name": "p", "guests": ["web-2"], "hosts": ["kvm-x"]},
        "rules: found pin:p pinning to no host that is known; allowed: rules that can hold together",
    ),
]


@pytest.mark.parametrize(("path", "value", "says"), BAD)
def test_bad_input_is_refused_on_one_line(path: Path, value: object, says: str) -> None:
    """Each kind of bad input is refused with its file, its path, what was found and what is allowed."""
    text = json.dumps(changed(CLUSTER, (path, value)))
    assert refusal(lambda: read_cluster(text, "bad.json")).startswith(f"bad.json: {says}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "bad.json: found an empty file; allowed: one JSON object"),
        (" \n", "bad.json: found an empty file; allowed: one JSON object"),
        ("[]", 'bad.json: found a list of 0; allowed: an object of schema "trimtab.cluster/1"'),
        ("null", 'bad.json: found null; allowed: an object of schema "trimtab.cluster/1"'),
        ('{"schema": ', "bad.json: line 1 column 12: found broken JSON (Expecting value); allowed: one JSON object"),
        ("{} {}", "bad.json: line 1 column 4: found broken JSON (Extra data); allowed: one JSON object"),
        ('{"x_a": {"b": 1, "b": 2}}', "bad.json: x_a.b: found the same key twice; allowed: each key once"),
        ('{"schema": "\\ud800"}', "bad.json: schema: found text with half a surrogate pair; allowed: Unicode text"),
        ("[" * 100_000, "bad.json: found lists or objects nested too deep; allowed: one JSON object"),
        ('{"a": 1' + "0" * 5000 + "}", "bad.json: found a number with too many digits; allowed: up to 2^53"),
    ],
)
def test_broken_text_is_refused_on_one_line(text: str, says: str) -> None:
    """Text that is no JSON object of the schema is refused, whatever is wrong with it."""
    assert refusal(lambda: read_cluster(text, "bad.json")) == says


def test_a_file_that_cannot_be_read_is_refused(tmp_path: pathlib.Path) -> None:
    """A missing file, a directory and bytes that are not UTF-8 are input errors that name the file."""
    missing, broken = tmp_path / "missing.json", tmp_path / "latin.json"
    broken.write_bytes(b'{"schema": "\xe9"}')
    assert refusal(lambda: load_cluster(missing)) == f"{missing}: cannot be read: No such file or directory"
    assert refusal(lambda: load_cluster(tmp_path)) == f"{tmp_path}: cannot be read: Is a directory"
    assert refusal(lambda: load_cluster(broken)) == (
        f"{broken}: found a byte that is not UTF-8 at offset 12; allowed: UTF-8 text"
    )


def test_every_default_of_the_contract() -> None:
    """Keys that may be absent get the value that the contract's table gives them."""
    snapshot = read_cluster(json.dumps(changed(CLUSTER, (("rules",), GONE))), "good.json")
    assert snapshot.rules == ()
    assert snapshot.hosts[1] == Host(
        id="kvm-b2",
        cpu_millicores=32000,
        memory_mib=131072,
        net_mbit_s=None,
        disk_mib_s=None,
        hugepages_mib=None,
        local_disk_mib=None,
        reserved=Reserved(0, 0),
        migration_mbit_s=None,
        reachable=True,
        measured_at=None,
        domains={},
        labels={},
        cpu_models=None,
        machines=None,
        storage=None,
        networks=None,
        power=PowerModel(state=PowerState.ON, controllable=False, watts=()),
        cordoned=False,
        failing=False,
    )
    assert snapshot.guests[1] == Guest(
        id="web-2",
        host="kvm-b2",
        vcpus=1,
        memory_mib=1024,
        usage=Usage(cpu_millicores=100, memory_mib=None, net_mbit_s=None, disk_mib_s=None),
        name="",
        overhead_mib=0,
        dirty=Dirty(None, None, None),
        local_disk_mib=0,
        hugepages_mib=0,
        cpu_model=None,
        machine=None,
        storage=(),
        networks=(),
        movable=True,
        why_not=None,
        priority=0,
        labels={},
        migration=MigrationPolicy(),
    )


def test_the_contract_s_example_is_read() -> None:
    """What the example says arrives in the snapshot."""
    snapshot = read_cluster(json.dumps(CLUSTER), "good.json")
    host, guest = snapshot.hosts[0], snapshot.guests[0]
    assert snapshot.taken_at == datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
    assert (host.reserved, host.domains, host.power.watts) == (
        Reserved(1000, 4096),
        {"rack": "r1", "zone": "z1"},
        ((0.0, 110.0), (0.5, 210.0), (1.0, 320.0)),
    )
    assert (guest.usage, guest.dirty) == (Usage(1200, 6000, 10.0, 1.0), Dirty(15.0, 1.0, 300.0))
    assert snapshot.rules == (
        AntiAffinity(name="web-apart", guests=Selector(labels={"app": "web"}), enforcement=Enforcement.REPAIR),
    )


def test_times_with_an_offset_are_utc() -> None:
    """An offset is understood, and what is kept is UTC."""
    text = json.dumps(changed(CLUSTER, (("taken_at",), "2026-11-22T21:30:00.250+01:30")))
    assert read_cluster(text, "good.json").taken_at == datetime(2026, 11, 22, 20, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "why", [((*HOST, "reachable"), False), ((*HOST, "measured_at"), "2026-11-22T19:58:00Z")], ids=["silent", "stale"]
)
def test_unknown_cpu_is_allowed_on_a_host_that_is_not_seen(why: tuple[Path, object]) -> None:
    """A guest whose host is unreachable or stale may have no CPU figure."""
    text = json.dumps(changed(CLUSTER, ((*GUEST, "usage", "cpu_millicores"), None), why))
    assert read_cluster(text, "good.json").guests[0].usage.cpu_millicores is None


def test_an_immovable_guest_has_a_reason() -> None:
    """`movable: false` without a reason gets one, and keeps it when written."""
    snapshot = read_cluster(json.dumps(changed(CLUSTER, (("guests", 1, "movable"), False))), "good.json")
    assert snapshot.guests[1].why_not == NO_REASON
    assert read_cluster(write_cluster(snapshot), "again.json") == snapshot


def test_notes_are_kept_and_ignored() -> None:
    """Keys beginning with `x_` change nothing that is read, and stay with their host when written again."""
    notes: list[tuple[Path, object]] = [
        (("x_ticket",), {"id": [1, None]}),
        ((*HOST, "power", "x_meter"), "ipmi"),
        ((*GUEST, "x_owner"), "sales"),
        (("rules", 0, "x_why"), "asked for"),
    ]
    plain = read_cluster(json.dumps(CLUSTER), "good.json")
    noted = read_cluster(json.dumps(changed(CLUSTER, *notes)), "good.json")
    assert replace(noted, extra={}) == plain
    written = json.loads(write_cluster(replace(noted, hosts=noted.hosts[::-1], guests=noted.guests[::-1])))
    assert written["x_ticket"] == {"id": [1, None]}
    assert written["hosts"][1]["power"]["x_meter"] == "ipmi"
    assert written["guests"][1]["x_owner"] == "sales"
    assert written["rules"][0]["x_why"] == "asked for"


def test_the_id_names_the_content() -> None:
    """The same content has the same id wherever it was read, and other content has another."""
    first = read_cluster(json.dumps(CLUSTER), "a.json")
    again = read_cluster(json.dumps(CLUSTER, indent=3), "b.json")
    other = read_cluster(json.dumps(changed(CLUSTER, ((*GUEST, "host"), "kvm-b2"))), "c.json")
    assert first.id == again.id == snapshot_id(first)
    assert other.id != first.id


@given(snapshots())
def test_a_snapshot_written_is_read_back_equal(snapshot: Snapshot) -> None:
    """Writing and reading changes nothing, the id included."""
    assert read_cluster(write_cluster(snapshot), "round.json") == snapshot


def test_a_file_cut_anywhere_is_refused() -> None:
    """No beginning of a file is taken for the whole, and none makes the reader fail otherwise."""
    text = json.dumps(CLUSTER)
    for length in range(len(text)):
        refusal(lambda end=length: read_cluster(text[:end], "cut.json"))  # type: ignore[misc]


@settings(max_examples=300)
@given(path=st.sampled_from(sorted(paths(CLUSTER), key=str)), value=odd_values)
def test_any_value_anywhere_is_read_or_refused(path: Path, value: object) -> None:
    """One value of a good file changed into anything makes a good file or an input error, never another failure."""
    text = json.dumps(changed(CLUSTER, (path, value)))
    accepted_or_refused(lambda: read_cluster(text, "odd.json"))


@given(st.text(st.sampled_from('{}[]",:0123.eE-+ \n\\tuNaInfinitylse\ufeff')))
def test_any_text_is_refused(text: str) -> None:
    """Text at random is no cluster file."""
    with pytest.raises(InputError):
        read_cluster(text, "random.txt")
