"""Bad usage and bad input: one line on stderr, the right exit status, nothing on stdout, nothing done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.verbs import VERBS
from tests.scheduler.cli.conftest import Call

OF_THE_CONTRACT = {
    *("agent", "run", "plan", "approve", "reject", "apply", "abort", "check", "drain", "undrain"),
    "history",
    *("pause", "resume", "status", "capture", "simulate", "doctor", "config"),
}


def test_every_verb_is_there_once() -> None:
    """The verbs are the contract's, each with a line that says what it does."""
    names = [verb.name for verb in VERBS]
    assert len(names) == len(set(names))
    assert set(names) >= OF_THE_CONTRACT
    assert all(verb.summary for verb in VERBS)


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_help_of_a_verb_shows_an_example(trimtab: Call, verb: str) -> None:
    """A verb's help ends well, describes it, and shows how it is called and the options of every verb."""
    ended = trimtab(verb, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert f"usage: trimtab {verb}" in ended.out
    examples = ended.out.partition("examples:\n")[2]
    assert re.search(rf"^  trimtab {verb}\b", examples, re.MULTILINE)
    assert "--set KEY=VALUE" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 110


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_the_overview_names_every_verb(capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Without a verb, all of them are shown."""
    from scheduler.cli import main

    assert main(arguments) == 0
    out = capfd.readouterr().out
    assert all(re.search(rf"^  {verb.name} ", out, re.MULTILINE) for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bogus",), "unknown verb bogus"),
        (("plna",), "did you mean plan?"),
        (("--frob", "plan"), "unknown option --frob"),
        (("plan", "--frob"), "unrecognized arguments: --frob"),
        (("plan", "--level", "6"), "allowed: a whole number from 1 to 5"),
        (("plan", "--level", "two"), "found 'two'"),
        (("plan", "--max-moves", "-1"), "a whole number from 0"),
        (("plan", "--time-limit", "0"), "a number above 0"),
        (("plan", "--time-limit", "nan"), "a number above 0"),
        (("plan", "--time-limit", "1", "--work-limit", "1"), "not allowed with"),
        (("plan", "--policy", "chaos"), "balance"),
        (("plan", "--policy", "drain"), "add --host HOST"),
        (("plan", "--host", "a"), "add --policy drain"),
        (("plan", "--policy", "repair", "--host", "a"), "--host goes with --policy drain, not with repair"),
        (("plan", "--json", "--format", "text"), "contradict"),
        (("plan", "--show", "p.json", "--level", "2"), "--level is for making a plan"),
        (("plan", "--show", "nowhere.json"), "nowhere.json"),
        (("plan", "--from", "nowhere.json"), "nowhere.json"),
        (("check", "--from", "nowhere.json"), "nowhere.json"),
        (("check", "more"), "unrecognized arguments: more"),
        (("apply",), "required: FILE"),
        (("apply", "nowhere.json"), "nowhere.json"),
        (("approve",), "required: PLAN"),
        (("drain",), "required: HOST"),
        (("config",), "required: what"),
        (("config", "chekc"), "chekc"),
        (("config", "check", "--set", "scheduler.levle=2"), "did you mean level?"),
        (("config", "check", "--set", "limits.cpu=high"), "limits.cpu"),
        (("config", "check", "--set", "nonsense"), "section.key=value"),
        (("config", "check", "--config", "nowhere.toml"), "nowhere.toml"),
        (("simulate",), "one of both"),
        (("simulate", "folder", "--from", "x.json"), "one of both"),
        (("simulate", "--from", "x.json", "--for", "-3"), "a number above 0"),
        (("agent", "--json"), "leave --json out"),
        (("agent", "--uri", "kvm-1"), "found 'kvm-1'; allowed: a libvirt URI such as qemu:///system"),
        (("run", "--for", "soon"), "a number above 0"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(trimtab: Call, arguments: tuple[str, ...], said: str) -> None:
    """What makes no sense is refused before anything happens."""
    ended = trimtab(*arguments)
    assert ended.status == 2
    assert ended.out == ""
    assert ended.err.startswith("trimtab: ")
    assert ended.err.count("\n") == 1
    assert said in ended.err


def _changed(text: str, **changes: Any) -> str:
    return json.dumps({**json.loads(text), **changes})


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda text: "", "an empty file"),
        (lambda text: text[: len(text) // 2], "broken JSON"),
        (lambda text: "[1, 2]", "found"),
        (lambda text: text.replace("trimtab.cluster/1", "trimtab.cluster/9"), "schema"),
        (lambda text: text.replace('"cpu_millicores": ', '"cpu_milicores": ', 1), "did you mean cpu_millicores?"),
        (lambda text: _changed(text, hosts="many"), "hosts: found"),
        (lambda text: _changed(text, hosts=[]), "guests[0].host"),
        (lambda text: _changed(text, rules=[{"kind": "apart"}]), "rules[0].kind"),
        (
            lambda text: _changed(
                text,
                rules=[
                    {"kind": "pin", "name": "here", "guests": ["g1"], "hosts": ["a"]},
                    {"kind": "forbid", "name": "not-here", "guests": ["g1"], "hosts": ["a"]},
                ],
            ),
            "here",
        ),
    ],
    ids=[
        "empty",
        "cut",
        "a list",
        "another version",
        "misspelt",
        "wrong type",
        "no such host",
        "no such rule",
        "contrary",
    ],
)
@pytest.mark.parametrize("verb", ["plan", "check", "simulate"])
def test_a_bad_cluster_file_is_one_line_and_status_2(
    trimtab: Call, tiny_file: Path, verb: str, broken: Any, said: str
) -> None:
    """Every verb that reads a cluster file says what is wrong in it, and where."""
    tiny_file.write_text(broken(tiny_file.read_text()))
    ended = trimtab(verb, "--from", str(tiny_file))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"trimtab: {tiny_file}: ")
    assert ended.err.count("\n") == 1
    assert said in ended.err


def test_an_unknown_host_to_drain_is_named_with_those_there_are(trimtab: Call, tiny_file: Path) -> None:
    """A drain of a host that the file does not have is bad input, with the choices."""
    ended = trimtab("plan", "--from", str(tiny_file), "--policy", "drain", "--host", "z")
    assert (ended.status, ended.out) == (2, "")
    assert "found 'z'; allowed: a, b, c" in ended.err


def test_a_defect_is_one_line_too(trimtab: Call, tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw ends in one line with status 4, and with the whole story under -v."""
    import scheduler.cli.verbs.check as check

    def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(check, "check_cluster", fail)
    ended = trimtab("check", "--from", str(tiny_file))
    assert (ended.status, ended.out, ended.err.count("\n")) == (4, "", 1)
    assert "RuntimeError: on purpose" in ended.err
    assert "Traceback" in trimtab("-v", "check", "--from", str(tiny_file)).err


def test_an_interrupt_is_no_traceback(trimtab: Call, tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C outside of planning ends with the shell's status for it."""
    import scheduler.cli.verbs.check as check

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "check_cluster", interrupt)
    ended = trimtab("check", "--from", str(tiny_file))
    assert (ended.status, ended.out, ended.err) == (130, "", "trimtab: interrupted\n")


def test_global_options_stand_anywhere(trimtab: Call, tiny_file: Path) -> None:
    """Before the verb or after it, they mean the same."""
    before = trimtab("--json", "--set", "limits.cpu=0.05", "check", "--from", str(tiny_file))
    after = trimtab("check", "--from", str(tiny_file), "--set", "limits.cpu=0.05", "--json")
    assert before == after
    assert [one["code"] for one in before.json["findings"]] == ["broken_rule", "over_limit"]
