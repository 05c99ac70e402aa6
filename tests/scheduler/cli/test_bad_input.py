"""Bad plans, clusters, configurations and scenarios at the command line: one line, its status, and nothing done.

What the readers say of each single value is tested with them (tests/cluster); here it reaches a person.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.store.memory import MemoryStore
from tests.scheduler.cli.conftest import Call, Ended

Change = Callable[[dict[str, Any]], object]


def one_line(ended: Ended, status: int, begins: str, says: str) -> None:
    """Assert that a call ended with a status and a single line on stderr, and printed no result."""
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.startswith(f"trimtab: {begins}"), ended.err
    assert says in ended.err, ended.err


# -- plans ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def plan_file(trimtab: Call, tiny_file: Path) -> Path:
    """A good plan of one move for the tiny cluster."""
    path = tiny_file.with_name("plan.json")
    assert trimtab("plan", "--from", str(tiny_file), "--work-limit", "0.2", "--out", str(path)).status == 0
    return path


def _again(plan: dict[str, Any]) -> None:
    plan["steps"].append({**plan["steps"][0], "id": "again"})


def _circle(plan: dict[str, Any]) -> None:
    plan["steps"][0]["after"] = [plan["steps"][0]["id"]]


BAD_PLANS: dict[str, tuple[Change, str]] = {
    "another version": (lambda plan: plan.update(schema="trimtab.plan/2"), 'schema: found "trimtab.plan/2"; allowed: '),
    "a cluster": (lambda plan: plan.update(schema="trimtab.cluster/1"), 'schema: found "trimtab.cluster/1"; allowed: '),
    "misspelt": (lambda plan: plan.update(stepps=[]), "stepps: found an unknown key; allowed: "),
    "incomplete": (lambda plan: plan.pop("goals"), "goals: found nothing (the key is missing); allowed: a list"),
    "wrong type": (lambda plan: plan.update(level="3"), 'level: found "3"; allowed: a whole number from 1 to 5'),
    "no such status": (lambda plan: plan.update(status="good"), 'status: found "good"; allowed: "optimal", '),
    "steps of a plan that has none": (lambda plan: plan.update(status="nothing_to_do"), "steps: found a list of "),
    "no estimate": (lambda plan: plan["steps"][0].pop("estimate"), "steps[0].estimate: found nothing"),
    "waits for no step": (lambda plan: plan["steps"][0].update(after=["s99"]), 'steps[0].after[0]: found "s99"'),
    "waits for itself": (_circle, "a circle; allowed: `after` edges without a circle"),
    "moved twice": (_again, "allowed: one final move per guest"),
    "to where it is": (lambda plan: plan["steps"][0].update(to=plan["steps"][0]["from"]), "allowed: another host than"),
    "over before it began": (lambda plan: plan.update(expires_at="2020-01-01T00:00:00Z"), "a time not before made_at"),
}

BAD_TEXTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda text: b"", "found an empty file; allowed: one JSON object"),
    "cut": (lambda text: text[: len(text) // 2], "found broken JSON ("),
    "a list": (lambda text: b"[" + text + b"]", "found a list of 1; allowed: an object of schema"),
    "not text": (lambda text: b"\xff\xfe" + text, "found a byte that is not UTF-8 at offset 0; allowed: UTF-8 text"),
    "two documents": (lambda text: text + text, "found broken JSON (Extra data)"),
}


@pytest.mark.parametrize("verb", [("apply",), ("plan", "--show")], ids=["apply", "show"])
@pytest.mark.parametrize("kind", BAD_PLANS)
def test_a_bad_plan_is_one_line_and_status_2(
    trimtab: Call, store: MemoryStore, plan_file: Path, verb: tuple[str, ...], kind: str
) -> None:
    """It names file, path, what was found and what is allowed; the store knows of no plan and no leader."""
    change, says = BAD_PLANS[kind]
    document = json.loads(plan_file.read_text())
    change(document)
    plan_file.write_text(json.dumps(document))
    one_line(trimtab(*verb, str(plan_file)), 2, f"{plan_file}: ", says)
    assert store.plans(5) == () and not store.flags() and store.take_commands() == ()


@pytest.mark.parametrize(
    "verb", [("apply",), ("plan", "--show"), ("plan", "--from"), ("check", "--from")], ids=" ".join
)
@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_a_damaged_file_is_one_line_and_status_2(
    trimtab: Call, plan_file: Path, tiny_file: Path, verb: tuple[str, ...], kind: str
) -> None:
    """Plans and clusters alike, whatever happened to them on the way."""
    damage, says = BAD_TEXTS[kind]
    file = tiny_file if "--from" in verb else plan_file
    file.write_bytes(damage(file.read_bytes()))
    one_line(trimtab(*verb, str(file)), 2, f"{file}: ", says)


def test_a_folder_is_no_file(trimtab: Call, tmp_path: Path) -> None:
    """It cannot be read, and that is all there is to say."""
    for arguments in (("apply",), ("plan", "--from"), ("plan", "--show"), ("check", "--from")):
        one_line(trimtab(*arguments, str(tmp_path)), 2, f"{tmp_path}: ", "cannot be read: Is a directory")


NOT_OF_THIS_CLUSTER: dict[str, tuple[Change, str]] = {
    "a guest that is gone": (lambda step: step.update(guest="g9", guest_name="web-9"), "guest web-9 is gone"),
    "a guest elsewhere": (lambda step: step.update({"from": "c", "to": "a"}), "is on a, not on c as planned"),
    "a host that is gone": (lambda step: step.update(to="z"), "host z is gone"),
}


@pytest.mark.parametrize("kind", NOT_OF_THIS_CLUSTER)
def test_a_plan_for_another_cluster_is_refused(simulated: Call, store: MemoryStore, plan_file: Path, kind: str) -> None:
    """It is a good file, so the answer is no: status 1, one line that says what is different, nothing begun."""
    change, says = NOT_OF_THIS_CLUSTER[kind]
    document = json.loads(plan_file.read_text())
    document["expires_at"] = "2999-01-01T00:00:00Z"
    document["steps"] = [{**document["steps"][0], "after": []}]
    change(document["steps"][0])
    plan_file.write_text(json.dumps(document))
    one_line(simulated("apply", str(plan_file)), 1, "", says)
    assert store.plans(5) == ()


# -- clusters that cannot be ---------------------------------------------------------------------------------------

APP = {"app": "web"}
CONTRARY: dict[str, tuple[list[dict[str, Any]], str]] = {
    "together and apart": (
        [
            {"kind": "affinity", "name": "near", "guests": APP},
            {"kind": "anti_affinity", "name": "far", "guests": APP},
        ],
        "affinity:near keeping guests g1 and g2 together that anti_affinity:far parts",
    ),
    "pinned to two places": (
        [
            {"kind": "pin", "name": "here", "guests": ["g1"], "hosts": ["a"]},
            {"kind": "pin", "name": "there", "guests": ["g1"], "hosts": ["b"]},
        ],
        "pin:here and pin:there pinning guest g1 to different hosts",
    ),
    "pinned to nowhere": (
        [{"kind": "pin", "name": "gone", "guests": ["g1"], "hosts": ["z"]}],
        "pin:gone pinning to no host that is known",
    ),
    "forbidden everywhere": (
        [{"kind": "forbid", "name": "out", "guests": ["g1"], "hosts": ["a", "b", "c"]}],
        "forbid:out forbidding every host to guest g1",
    ),
    "more cells than there are": (
        [{"kind": "spread", "name": "wide", "guests": APP, "domain": "host", "at_least": 4, "enforcement": "hard"}],
        "spread:wide asking for 4 of 3 cells of domain host",
    ),
    "one name for two": (
        [
            {"kind": "ignore", "name": "same", "guests": ["g1"]},
            {"kind": "ignore", "name": "same", "guests": ["g2"]},
        ],
        'rules[1].name: found "same", which rules[0] is already; allowed: each rule name once',
    ),
}


@pytest.mark.parametrize("verb", ["plan", "check", "simulate"])
@pytest.mark.parametrize("kind", CONTRARY)
def test_rules_that_contradict_each_other_are_status_2(trimtab: Call, tiny_file: Path, verb: str, kind: str) -> None:
    """Both rules are named, before anything is worked out."""
    rules, says = CONTRARY[kind]
    tiny_file.write_text(json.dumps({**json.loads(tiny_file.read_text()), "rules": rules}))
    one_line(trimtab(verb, "--from", str(tiny_file)), 2, f"{tiny_file}: rules", says)


def test_what_only_turns_out_impossible_is_infeasible_and_status_1(trimtab: Call, tiny_file: Path) -> None:
    """Three guests that must be on three hosts, and two hosts that can take them: an answer, with what is to blame."""
    document = json.loads(tiny_file.read_text())
    document["rules"] = [
        {"kind": "anti_affinity", "name": "apart", "guests": ["g1", "g2", "g3"], "enforcement": "hard"},
        {"kind": "forbid", "name": "not-c", "guests": ["g1", "g2", "g3"], "hosts": ["c"], "enforcement": "hard"},
    ]
    tiny_file.write_text(json.dumps(document))
    ended = trimtab("plan", "--from", str(tiny_file), "--work-limit", "0.2", "--json")
    assert (ended.status, ended.err) == (1, "")
    assert (ended.json["status"], ended.json["steps"]) == ("infeasible", [])
    assert ended.json["blamed"] == ["anti_affinity:apart", "forbid:not-c"]


# -- configurations ------------------------------------------------------------------------------------------------

CONFIGURATIONS: dict[str, tuple[str, str]] = {
    "cut": ("[scheduler]\nmode = 'ac", "found broken TOML ("),
    "misspelt section": ("[schedular]\n", "schedular: found an unknown key; allowed: scheduler, "),
    "misspelt key": ("[gate]\nmax_move = 3\n", "gate.max_move: found an unknown key; "),
    "wrong type": ("[scheduler]\nlevel = 'three'\n", 'scheduler.level: found "three"; allowed: a whole number from 1 '),
    "out of range": ("[limits]\ncpu = 80\n", "limits.cpu: found 80; allowed: a number above 0 and up to 1"),
    "thresholds that cross": (
        "[collect]\nstale_s = 5\n",
        "collect.stale_s: found 5; allowed: above collect.interval_s",
    ),
    "a host without a name": ("[[hosts]]\nuri = 'qemu+ssh://a/system'\n", "hosts[0].id: found nothing"),
    "contrary rules": (
        "".join(f"[[rules]]\nkind = 'pin'\nguests = ['g']\nhosts = ['{host}']\n" for host in "ab"),
        "rules: found pin:pin-1 and pin:pin-2 pinning guest g to different hosts; allowed: ",
    ),
}
NEEDING_ONE = (
    ("run", "--for", "1"),
    ("agent",),
    ("status",),
    ("plan",),
    ("check",),
    ("drain", "a"),
    ("pause",),
    ("capture", "-"),
    ("doctor",),
    ("config", "check"),
)


@pytest.mark.parametrize("verb", NEEDING_ONE, ids=lambda verb: verb[0])
@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_a_bad_configuration_is_one_line_and_status_2(
    trimtab: Call, store: MemoryStore, tmp_path: Path, verb: tuple[str, ...], kind: str
) -> None:
    """Every verb refuses it before it does anything: the store stays as it was."""
    text, says = CONFIGURATIONS[kind]
    config = tmp_path / "bad.toml"
    config.write_text(text)
    one_line(trimtab(*verb, "--config", str(config)), 2, f"{config}: ", says)
    assert not store.flags() and store.status() is None and store.plans(5) == ()


NAMED_FILES: dict[str, tuple[str, str, str]] = {
    "a cluster that is not there": (
        '[collect]\nsource = "simulated"\n[simulator]\ncluster_file = "/nowhere/cluster.json"\n',
        "/nowhere/cluster.json: ",
        "cannot be read: No such file or directory",
    ),
    "a recording that is not there": (
        '[collect]\nsource = "recorded"\nrecording = "/nowhere/tape"\n',
        "/nowhere/tape: ",
        "No such file or directory",
    ),
    "a password that is not there": (
        '[store]\nurl = "redis://127.0.0.1:1/0"\npassword_file = "/nowhere/password"\n',
        "store.password_file: ",
        "there is no file /nowhere/password",
    ),
    "nobody to act on": ('[collect]\nsource = "libvirt"\n', "configuration: ", "no [[hosts]] entry"),
}


@pytest.mark.parametrize("verb", [("run", "--for", "1"), ("plan",)], ids=lambda verb: verb[0])
@pytest.mark.parametrize("kind", NAMED_FILES)
def test_what_a_configuration_names_must_be_there(
    trimtab: Call, tmp_path: Path, verb: tuple[str, ...], kind: str
) -> None:
    """One line with the name, status 2, and the daemon does not start."""
    text, begins, says = NAMED_FILES[kind]
    config = tmp_path / "named.toml"
    config.write_text(text + ("" if "[store]" in text else f'[store]\ndirectory = "{tmp_path / "store"}"\n'))
    one_line(trimtab(*verb, "--config", str(config)), 2, begins, says)


# -- scenarios -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", 'schema: found nothing (the key is missing); allowed: "trimtab.scenario/1"'),
        ('schema = "trimtab.scen', "found broken TOML ("),
        ('schema = "trimtab.scenario/1"\nduration = 5\n', "did you mean duration_s?"),
        (
            'schema = "trimtab.scenario/1"\nduration_s = 5\n[[faults]]\nat_s = 1\nkind = "meteor"\n',
            'faults[0].kind: found "meteor"; allowed: ',
        ),
    ],
    ids=["missing", "empty", "cut", "misspelt", "no such fault"],
)
def test_a_bad_scenario_is_one_line_and_status_2(trimtab: Call, tmp_path: Path, text: str | None, says: str) -> None:
    """As for every other file."""
    if text is not None:
        (tmp_path / "scenario.toml").write_text(text)
    one_line(trimtab("simulate", str(tmp_path)), 2, f"{tmp_path / 'scenario.toml'}: ", says)


# -- as a process of its own ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("apply", "cut.json"), 2, "trimtab: cut.json: line 1 column 12: found broken JSON ("),
        (("run", "--config", "cut.toml"), 2, "trimtab: cut.toml: found broken TOML ("),
        (
            ("run", "--set", "store.url=redis://127.0.0.1:1/0", "--set", "store.timeout_s=1"),
            3,
            "trimtab: store redis://127.0.0.1:1/0 cannot be reached: ",
        ),
    ],
    ids=["plan", "configuration", "store"],
)
def test_the_process_ends_with_the_status(tmp_path: Path, arguments: tuple[str, ...], status: int, says: str) -> None:
    """What a shell and systemd see is what `main` returned."""
    (tmp_path / "cut.json").write_text('{"schema": ')
    (tmp_path / "cut.toml").write_text("[scheduler")
    root = Path(__file__).resolve().parents[3]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from scheduler.cli import main; sys.exit(main())"
    program = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(says) and done.stderr.count("\n") == 1
