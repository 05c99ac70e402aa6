"""A plan as text, Markdown and HTML: the golden text, and that all three say what the plan says, safely."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cluster.plan import Migrate, Plan, Status
from reports.plan_html import plan_html
from reports.plan_markdown import plan_markdown
from reports.plan_text import plan_text
from tests.reports.samples import small_plan

GOLDEN = """\
Plan 01JDABCDEF: feasible: valid, better than now, not proven best
  one rule is mended and one host can sleep
  policy consolidate, level 3, seed 1; snapshot 0123456789abcdef
  made 2026-11-22 20:00:00 UTC, good until 2026-11-22 20:15:00 UTC

Now
  2 breaches of rules
  hosts over their limits, by 25 % of their room together
  CPU: busiest host 91 %, spread 18 %; memory: fullest host 93 %, spread 20 %

Steps: 2 moves (1 of them to make room), 1 host to sleep, 8.9 GiB over the network, about 5 min 10 s
  (at best 4 min 50 s)
  s1  park web-1  kvm-a1 -> kvm-c1  4.0 GiB in 6.9 s, down 40 ms
      makes room on kvm-b2; unknown dirty rate
  s2  move web-1  kvm-c1 -> kvm-b2  4.9 GiB in 15 s, down 40 ms
      anti_affinity:web-apart broken on kvm-a1; 31 % of the gain; after s1
  s3  sleep       kvm-a1            saves 98 W
      empty once s2 is done; after s1, s2

                                before       after
  hosts on                          12           9
  power                         2710 W      2100 W
  CPU, busiest host               91 %        61 %
  CPU, spread over hosts          18 %       1.2 %
  memory, fullest host            93 %        70 %
  memory, spread over hosts       20 %       1.5 %
  rules broken                       2           0

Goals, in order
  repair       2.25 now, 0 after; proven best
  consolidate  271 W now, 210 W after; no plan can get below 209 W: at least 98 % of the possible
               gain
  moved_mib    0 MiB now, 8.9 GiB after; proven best

Not moved: 1 guest
  does_not_converge: db-1 writes faster than the link carries

Worked out in 0.4 s.
"""


def test_the_text_of_a_plan() -> None:
    """What is wrong, the steps in order with reason, cost and share, the figures, the goals, and who stays."""
    assert plan_text(small_plan()) == GOLDEN


@pytest.mark.parametrize("render", [plan_text, plan_markdown, plan_html])
@pytest.mark.parametrize("status", list(Status))
def test_a_plan_without_steps_renders(render: object, status: Status) -> None:
    """Nothing to do and infeasible are answers, too."""
    assert callable(render)
    plan = replace(small_plan(), steps=(), goals=(), not_moved=(), status=status, blamed=("pin:licence",))
    text = render(plan)
    assert "pin:licence" in text.replace("\\", "")
    assert "Steps" not in text


def _long(plan: Plan) -> Plan:
    steps = tuple(
        replace(step, guest_name=f"a-very-long-name-of-a-guest-indeed-{'x' * 80}-{index}", source="host-" + "y" * 90)
        for index, step in enumerate(plan.steps)
        if isinstance(step, Migrate)
    )
    return replace(plan, steps=steps, why="because " * 60, snapshot="s" * 200)


def test_no_line_is_wider_than_the_screen() -> None:
    """Long names are cut in their middle, sentences wrapped."""
    lines = plan_text(_long(small_plan())).splitlines()
    assert max(map(len, lines)) <= 100
    assert any("…" in line for line in lines)


@pytest.mark.parametrize("render", [plan_text, plan_markdown, plan_html])
def test_names_cannot_write_to_the_screen_or_the_page(render: object) -> None:
    """Escape sequences and markup in a guest's name or a sentence come out as text."""
    assert callable(render)
    plan = small_plan()
    first = plan.steps[0]
    assert isinstance(first, Migrate)
    evil = "<script>x</script>\x1b[2J|"
    text = render(replace(plan, steps=(replace(first, guest_name=evil), *plan.steps[1:])))
    assert "\x1b" not in text
    if render is not plan_text:
        assert "<script>" not in text.replace("\\", "\0")


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    """Every element is closed, and nothing is loaded from anywhere."""

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert not {"src", "href"} & {name for name, _ in attrs}
            if tag not in ("meta", "rect"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag != "rect":
                assert self.open.pop() == tag

    reader = Reader()
    reader.feed(plan_html(small_plan()))
    assert reader.open == []
