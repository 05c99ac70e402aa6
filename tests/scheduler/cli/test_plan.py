"""`trimtab plan`, `check` and `config` on files: figures, formats, exit statuses; what is saved is what is shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.config.settings import Settings
from cluster.formats.cluster_file import load_cluster, read_cluster
from cluster.formats.plan_file import load_plan
from cluster.limits import Limits
from reports.plan_text import plan_text
from scheduler.check import check_plan
from scheduler.cli.verbs.plan import SHORT_S, default_time_limit_s
from tests.scheduler.cli.conftest import Call, demo_cluster

QUICK = ("--work-limit", "0.3")


@pytest.mark.parametrize("policy", ["balance", "repair", "consolidate", "drain"])
def test_every_policy_gives_a_plan_that_the_checker_accepts(trimtab: Call, cluster_file: Path, policy: str) -> None:
    """The JSON on stdout is a plan file, and holds for the cluster file it was made from."""
    hosts = ("--host", "kvm-a1") if policy == "drain" else ()
    ended = trimtab("plan", "--from", str(cluster_file), "--policy", policy, *hosts, *QUICK, "--json")
    assert (ended.status, ended.err) == (0, "")
    saved = cluster_file.with_name("plan.json")
    saved.write_text(ended.out)
    plan = load_plan(saved)
    assert plan.policy == policy
    assert check_plan(plan, load_cluster(cluster_file), Limits()) == []


def test_a_saved_plan_is_shown_as_it_was(trimtab: Call, cluster_file: Path) -> None:
    """Text, Markdown and JSON of a saved plan equal those of the plan when it was made."""
    saved = str(cluster_file.with_name("plan.json"))
    made = trimtab("plan", "--from", str(cluster_file), *QUICK, "--out", saved)
    assert made.status == 0
    assert trimtab("plan", "--show", saved).out == made.out
    assert trimtab("plan", "--show", saved, "--json").out == Path(saved).read_text()
    assert made.out == plan_text(load_plan(Path(saved)))


def test_the_text_says_what_the_plan_file_says(trimtab: Call, tiny_file: Path) -> None:
    """A small plan in words: what is wrong, the one move and its reason, the figures before and after."""
    saved = tiny_file.with_name("plan.json")
    ended = trimtab("plan", "--from", str(tiny_file), "--policy", "repair", *QUICK, "--out", str(saved))
    plan = json.loads(saved.read_text())
    (step,) = plan["steps"]
    assert "1 breach of rules" in ended.out
    assert f"move {step['guest_name']}" in ended.out
    assert f"{step['from']} -> {step['to']}" in ended.out
    assert "anti_affinity:web-apart" in ended.out
    lines = ended.out.splitlines()
    (busiest,) = [line for line in lines if "CPU, busiest host" in line]
    before, after = plan["before"]["cpu_max"] * 100, plan["after"]["cpu_max"] * 100
    assert busiest.split() == ["CPU,", "busiest", "host", f"{before:.0f}", "%", f"{after:.0f}", "%"]
    (broken,) = [line for line in lines if "rules broken" in line]
    assert broken.split()[-2:] == ["1", "0"]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(("name", "begins"), [("p.html", "<!doctype html>"), ("p.md", "# Plan "), ("p", "{\n")])
def test_the_name_of_the_output_chooses_its_format(trimtab: Call, tiny_file: Path, name: str, begins: str) -> None:
    """HTML, Markdown and JSON by suffix, JSON without one; the plan is shown as text all the same."""
    out = tiny_file.with_name(name)
    ended = trimtab("plan", "--from", str(tiny_file), *QUICK, "--out", str(out))
    assert ended.status == 0
    assert out.read_text().startswith(begins)
    assert ended.out.startswith("Plan ")


def test_html_of_a_saved_plan_draws_the_hosts_of_its_snapshot_only(trimtab: Call, tiny_file: Path) -> None:
    """With the right cluster file there are bars; with another one it is refused."""
    saved = str(tiny_file.with_name("plan.json"))
    trimtab("plan", "--from", str(tiny_file), *QUICK, "--out", saved)
    drawn = trimtab("plan", "--show", saved, "--from", str(tiny_file), "--format", "html")
    assert (drawn.status, drawn.out.count("<svg")) == (0, 1)
    assert "<svg" not in trimtab("plan", "--show", saved, "--format", "html").out
    other = tiny_file.with_name("other.json")
    other.write_text(demo_cluster(2, 4))
    refused = trimtab("plan", "--show", saved, "--from", str(other), "--format", "html")
    assert (refused.status, refused.out) == (2, "")


def test_planning_twice_with_a_work_limit_gives_the_same_plan(trimtab: Call, cluster_file: Path) -> None:
    """Same file, seed and work: the same plan but for the time it took."""
    plans = [trimtab("plan", "--from", str(cluster_file), *QUICK, "--seed", "5", "--json").json for _ in range(2)]
    for plan in plans:
        del plan["solve_s"]
    assert plans[0] == plans[1]


def test_nothing_to_do_is_status_0(trimtab: Call, tiny_file: Path) -> None:
    """A cluster without rules under the level's threshold needs nothing."""
    document = {**json.loads(tiny_file.read_text()), "rules": []}
    tiny_file.write_text(json.dumps(document))
    ended = trimtab("plan", "--from", str(tiny_file), *QUICK, "--level", "2", "--json")
    assert (ended.status, ended.json["status"], ended.json["steps"]) == (0, "nothing_to_do", [])


def test_infeasible_is_status_1_and_names_the_rule(trimtab: Call, tiny_file: Path) -> None:
    """A hard rule that cannot hold gives no plan, and is blamed."""
    document = json.loads(tiny_file.read_text())
    for host in document["hosts"][1:]:
        host["cordoned"] = True
    document["rules"][0]["enforcement"] = "hard"
    tiny_file.write_text(json.dumps(document))
    ended = trimtab("plan", "--from", str(tiny_file), *QUICK, "--json")
    assert (ended.status, ended.json["status"]) == (1, "infeasible")
    assert ended.json["blamed"] == ["anti_affinity:web-apart"]


def test_check_says_what_is_broken(trimtab: Call, tiny_file: Path) -> None:
    """Status 1 with the rule while it is broken, 0 once it holds."""
    ended = trimtab("check", "--from", str(tiny_file))
    assert (ended.status, ended.err) == (1, "")
    assert "anti_affinity:web-apart is broken" in ended.out
    document = json.loads(tiny_file.read_text())
    document["guests"][0]["host"] = "b"
    tiny_file.write_text(json.dumps(document))
    ended = trimtab("check", "--from", str(tiny_file), "--json")
    assert (ended.status, ended.json["holds"], ended.json["findings"]) == (0, True, [])


def test_config_show_tells_value_and_origin(trimtab: Call, tmp_path: Path) -> None:
    """Every key with where it came from: the file, --set, or the default."""
    config = tmp_path / "own.toml"
    config.write_text("[limits]\ncpu = 0.7\n")
    shown = trimtab("config", "show", "--config", str(config), "--set", "scheduler.level=2", "--json").json
    assert shown["values"]["limits"]["cpu"] == 0.7
    assert shown["origins"]["limits.cpu"] == str(config)
    assert shown["origins"]["scheduler.level"] == "--set"
    assert shown["origins"]["limits.memory"] == "default"
    text = trimtab("config", "show", "--config", str(config)).out
    (line,) = [line for line in text.splitlines() if line.startswith("cpu = ")]
    assert line.split() == ["cpu", "=", "0.7", "#", str(config)]
    checked = trimtab("config", "check", "--config", str(config))
    assert (checked.status, checked.out.startswith(f"{config}: valid")) == (0, True)


def test_time_to_look_grows_with_the_cluster_up_to_the_configured_limit() -> None:
    """A second for a small cluster, `scheduler.time_limit_s` at most for a large one."""
    small = read_cluster(demo_cluster(5, 30), "small")
    assert default_time_limit_s(small, Settings()) == SHORT_S
    large = read_cluster(demo_cluster(40, 300), "large")
    assert SHORT_S < default_time_limit_s(large, Settings()) <= Settings().scheduler.time_limit_s


def _program(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from scheduler.cli import main; sys.exit(main())", *arguments]


def test_a_cluster_comes_in_through_a_pipe(tiny_file: Path) -> None:
    """`--from -` reads standard input; a reader that goes away early is no error."""
    program = _program("check", "--from", "-")
    done = subprocess.run(program, input=tiny_file.read_bytes(), capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")
    program = _program("plan", "--from", str(tiny_file), "--work-limit", "0.3")
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_an_interrupt_takes_the_best_found_so_far(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a long plan prints a valid plan, with status 0, soon."""
    cluster = tmp_path / "cluster.json"
    cluster.write_text(demo_cluster(30, 300))
    program = _program("plan", "--from", str(cluster), "--time-limit", "60", "--json")
    began = time.monotonic()
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(4)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=50)
    assert time.monotonic() - began < 40
    assert process.returncode == 0, err
    assert json.loads(out)["steps"]
    assert b"taking the best found so far" in err


def test_help_is_quick() -> None:
    """The overview loads neither the solver nor libvirt nor Redis, nor even the verbs."""
    code = (
        "import sys\nfrom scheduler.cli import main\nmain(['--help'])\n"
        "heavy = {'numpy', 'ortools', 'redis', 'libvirt', 'apscheduler', 'psutil', 'cluster.snapshot'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
