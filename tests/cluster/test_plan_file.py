"""The plan file: what it refuses and says, and exact round trips."""

from __future__ import annotations

import json
import pathlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.formats.plan_file import load_plan, read_plan, write_plan
from cluster.plan import Estimate, Migrate, Plan, Sleep, Status, Wake
from tests.cluster.documents import GONE, PLAN, Path, accepted_or_refused, changed, odd_values, paths, refusal
from tests.strategies import plans

STEP: Path = ("steps", 1)
AGAIN = {**PLAN["steps"][1], "id": "s5"}

BAD: list[tuple[Path, object, str]] = [
    (("schema",), "trimtab.cluster/1", 'schema: found "trimtab.cluster/1"; allowed: "trimtab.plan/1"'),
    (("id",), GONE, "id: found nothing (the key is missing); allowed: text, not empty"),
    (("level",), 6, "level: found 6; allowed: a whole number from 1 to 5"),
    (("level",), True, "level: found true; allowed: a whole number from 1 to 5"),
    (("seed",), -1, "seed: found -1; allowed: a whole number from 0 up"),
    (
        ("status",),
        "optimum",
        'status: found "optimum"; allowed: "optimal", "feasible", "nothing_to_do" or "infeasible"; '
        'did you mean "optimal"?',
    ),
    (("expires_at",), "2026-11-22T19:00:00Z", 'expires_at: found "2026-11-22T19:00:00Z"; allowed: a time not before '),
    (("made_at",), "now", 'made_at: found "now"; allowed: a time such as 2026-11-22T20:00:00Z (RFC 3339, '),
    (("gap",), float("nan"), "gap: found nan; allowed: a finite number"),
    (("before", "hosts_on"), -1, "before.hosts_on: found -1; allowed: a whole number from 0 up"),
    (("after", "cpu_max"), GONE, "after.cpu_max: found nothing (the key is missing); allowed: a number from 0 up"),
    (("goals", 0, "befor"), 1, "goals[0].befor: found an unknown key; allowed: tier, before, after, bound, gap; did "),
    (("not_moved", 0, "code"), 7, "not_moved[0].code: found 7; allowed: text, not empty"),
    (("status",), "nothing_to_do", 'steps: found a list of 4; allowed: no steps with status "nothing_to_do"'),
    (("status",), "infeasible", 'steps: found a list of 4; allowed: no steps with status "infeasible"'),
    # steps
    (("steps", 0), "s1", 'steps[0]: found "s1"; allowed: an object with a kind'),
    (
        (*STEP, "kind"),
        "migarte",
        'steps[1].kind: found "migarte"; allowed: "migrate", "sleep" or "wake"; did you mean "migrate"?',
    ),
    (
        ("steps", 3, "saves_watts"),
        5,
        "steps[3].saves_watts: found an unknown key; allowed: kind, id, after, host, reason",
    ),
    ((*STEP, "to"), "kvm-c3", 'steps[1].to: found "kvm-c3"; allowed: another host than from (kvm-c3)'),
    ((*STEP, "estimate", "converges"), 1.01, "steps[1].estimate.converges: found 1.01; allowed: a number from 0 to 1"),
    ((*STEP, "estimate", "mib"), 0.5, "steps[1].estimate.mib: found 0.5; allowed: a whole number from 0 up"),
    (("steps", 3, "id"), "s1", 'steps[3].id: found "s1", which steps[0] is already; allowed: each step id once'),
    # edges
    (("steps", 2, "after"), ["s2", "s9"], 'steps[2].after[1]: found "s9"; allowed: the id of a step of this plan'),
    (("steps", 0, "after"), ["s3"], "steps: found "),
    (("steps", 3, "after"), ["s4"], 'steps: found "s4" after "s4", a circle; allowed: `after` edges without a circle'),
    # moves
    (("steps", 4), AGAIN, 'steps[4].guest: found "web-1"; allowed: one final move per guest'),
    ((*STEP, "parking"), True, 'steps[1].guest: found "web-1"; allowed: one parking move per guest'),
    (
        (*STEP, "guest"),
        "web-9",
        "steps[0].parking: found true; allowed: true only with a final move of the guest in the same plan",
    ),
    (
        (*STEP, "from"),
        "kvm-d4",
        'steps[0].to: found "kvm-c3"; allowed: the host its final move s2 starts from, s2 being after s1',
    ),
    ((*STEP, "after"), [], 'steps[0].to: found "kvm-c3"; allowed: the host its final move s2 starts from, s2 being '),
    (
        ("steps", 4),
        {"id": "s5", "kind": "wake", "host": "kvm-d4", "reason": "twice"},
        'steps[4].host: found "kvm-d4"; allowed: one wake per host',
    ),
]


@pytest.mark.parametrize(("path", "value", "says"), BAD)
def test_bad_input_is_refused_on_one_line(path: Path, value: object, says: str) -> None:
    """Each kind of bad plan is refused with its file, its path, what was found and what is allowed."""
    text = json.dumps(changed(PLAN, (path, value)))
    assert refusal(lambda: read_plan(text, "bad.json")).startswith(f"bad.json: {says}")


def test_a_circle_names_its_steps() -> None:
    """Steps that wait for each other are all named."""
    text = json.dumps(changed(PLAN, (("steps", 0, "after"), ["s3"])))
    said = refusal(lambda: read_plan(text, "bad.json"))
    assert all(f'"{step}"' in said for step in ("s1", "s2", "s3")) and '"s4"' not in said


def test_a_plan_is_read_as_it_says() -> None:
    """Every kind of step arrives with its fields, absent ones at their defaults."""
    plan = read_plan(json.dumps(PLAN), "good.json")
    estimate = Estimate(mib=9100, seconds=15.3, downtime_ms=40, converges=0.99, mbit_s=5000, note="")
    assert plan.status is Status.FEASIBLE
    assert plan.steps == (
        Migrate("s1", "web-1", "kvm-a1", "kvm-c3", "makes room", estimate, parking=True),
        Migrate(
            "s2",
            "web-1",
            "kvm-c3",
            "kvm-b2",
            "anti_affinity:web-apart broken on kvm-a1",
            estimate,
            "web-1",
            ("s1",),
            gain_share=0.31,
        ),
        Sleep("s3", "kvm-a1", "empty", 98, ("s2",)),
        Wake("s4", "kvm-d4", "room is needed"),
    )


def test_a_plan_is_saved_and_loaded(tmp_path: pathlib.Path) -> None:
    """A plan file on disk reads back equal; a missing one is an input error."""
    plan = read_plan(json.dumps(PLAN), "good.json")
    path = tmp_path / "plan.json"
    path.write_text(write_plan(plan), encoding="utf-8")
    assert load_plan(path) == plan
    assert (
        refusal(lambda: load_plan(tmp_path / "none")) == f"{tmp_path}/none: cannot be read: No such file or directory"
    )


def test_notes_are_kept_and_ignored() -> None:
    """Keys beginning with `x_` change nothing that is read and are written again."""
    noted = read_plan(json.dumps(changed(PLAN, ((*STEP, "x_ticket"), 7), (("x_by",), "me"))), "good.json")
    assert replace(noted, extra={}) == read_plan(json.dumps(PLAN), "good.json")
    written = json.loads(write_plan(noted))
    assert (written["steps"][1]["x_ticket"], written["x_by"]) == (7, "me")


@given(plans())
def test_a_plan_written_is_read_back_equal(plan: Plan) -> None:
    """Writing and reading changes nothing."""
    assert read_plan(write_plan(plan), "round.json") == plan


def test_a_file_cut_anywhere_is_refused() -> None:
    """No beginning of a file is taken for the whole, and none makes the reader fail otherwise."""
    text = json.dumps(PLAN)
    for length in range(len(text)):
        refusal(lambda end=length: read_plan(text[:end], "cut.json"))  # type: ignore[misc]


@settings(max_examples=300)
@given(path=st.sampled_from(sorted(paths(PLAN), key=str)), value=odd_values)
def test_any_value_anywhere_is_read_or_refused(path: Path, value: object) -> None:
    """One value of a good file changed into anything makes a good file or an input error, never another failure."""
    text = json.dumps(changed(PLAN, (path, value)))
    accepted_or_refused(lambda: read_plan(text, "odd.json"))


def test_what_we_add_to_the_contract_is_a_note() -> None:
    """Beside the keys of the contract a written plan holds only keys that every reader lets through."""
    promised = {"id", "after", "kind", "guest", "guest_name", "from", "to", "parking", "reason", "gain_share"}
    promised |= {"estimate"}
    estimate = {"mib", "seconds", "downtime_ms", "converges", "mbit_s"}
    assumed = Estimate(1, 1.0, 1, 1.0, 1, "assumed")
    step = Migrate("s1", "g", "a", "b", "why", assumed, guest_memory_mib=1, guest_vcpus=1)
    plan = replace(read_plan(json.dumps(PLAN), "plan.json"), steps=(step,))
    written = json.loads(write_plan(plan))["steps"][0]
    assert {key for key in written if not key.startswith("x_")} == promised
    assert {key for key in written["estimate"] if not key.startswith("x_")} == estimate
    assert read_plan(write_plan(plan), "plan.json") == plan
