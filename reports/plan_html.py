"""A plan as one self-contained HTML file: figures, every host before and after as bars, and the steps with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from cluster.guest import Guest
from cluster.host import Host
from cluster.limits import Resource, demand, room
from cluster.plan import Plan
from cluster.snapshot import Snapshot
from reports import plan_words, units

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733;
  background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #dde3ea; vertical-align: top }
td.n, th.n { text-align: right } .why { color: #5a6775 } code { font-size: .9em }
svg text { font: 12px system-ui, sans-serif; fill: #1d2733 }
.room { fill: #e8edf2 } .before { fill: #b9c6d3 } .after { fill: #2c7fb8 }
@media (prefers-color-scheme: dark) {
  body { background: #14191f; color: #dfe6ee } th, td { border-color: #2c3641 } .why { color: #93a1b0 }
  svg text { fill: #dfe6ee } .room { fill: #222b35 } .before { fill: #4c5a69 } .after { fill: #4fa3dd }
}
"""
_ROW = 34
_LABEL = 150
_BAR = 300


def plan_html(plan: Plan, snapshot: Snapshot | None = None) -> str:
    """Return the page. With the snapshot the plan was made from every host is drawn, else only the figures."""
    parts = [
        f"<h1>Plan <code>{escape(plan.id)}</code>: {escape(plan_words.status(plan))}</h1>",
        f"<p>{escape(plan.why)}</p>",
        f'<p class="why">Policy {escape(plan.policy)}, level {plan.level}, seed {plan.seed}, '
        f"snapshot {escape(plan.snapshot)}. Made {units.moment(plan.made_at)}, "
        f"good until {units.moment(plan.expires_at)}.</p>",
    ]
    if plan.blamed:
        parts.append(f"<p>Cannot hold: {escape(', '.join(plan.blamed))}</p>")
    parts += ["<h2>Now</h2>", _list(plan_words.wrong_now(plan))]
    parts += ["<h2>Before and after</h2>", _table(("", "before", "after"), plan_words.figures(plan), numbers=(1, 2))]
    if energy := plan_words.energy(plan):
        parts.append(f"<p>Power: {escape(energy)}.</p>")
    if snapshot is not None:
        parts += ["<h2>Hosts</h2>", _hosts_svg(plan, snapshot)]
    if plan.steps:
        parts.append(f"<h2>Steps: {escape(plan_words.totals(plan))}</h2>")
        if said := plan_words.common_note(plan):
            parts.append(f'<p class="why">All estimates: {escape(said)}.</p>')
        words = [plan_words.step(step, said) for step in plan.steps]
        rows = [(one.id, one.what, one.way, one.cost, one.gain, one.after, one.reason) for one in words]
        parts.append(_table(("step", "what", "where", "cost", "share of gain", "after", "why"), rows, numbers=(4,)))
    parts += ["<h2>Goals, in order</h2>", _list(f"{goal.tier}: {plan_words.goal(goal)}" for goal in plan.goals)]
    if plan.not_moved:
        shown, _ = plan_words.not_moved(plan, len(plan.not_moved))
        parts += ["<h2>Not moved</h2>", _list(f"{code}: {text}" for code, text in shown)]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Plan {escape(plan.id)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], numbers: tuple[int, ...]) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        marks = (' class="n"' if index in numbers else "" for index in range(len(cells)))
        return (
            "<tr>"
            + "".join(f"<{tag}{mark}>{escape(c)}</{tag}>" for c, mark in zip(cells, marks, strict=True))
            + "</tr>"
        )

    return "<table>\n" + row(head, "th") + "\n" + "\n".join(row(cells, "td") for cells in rows) + "\n</table>"


def _hosts_svg(plan: Plan, snapshot: Snapshot) -> str:
    """Draw two bars per host and resource, before over after, as shares of the host's room."""
    final = {move.guest: move.target for move in plan.migrations}
    after: dict[str, list[Guest]] = {host.id: [] for host in snapshot.hosts}
    for guest in snapshot.guests:
        after[final.get(guest.id, guest.host)].append(guest)
    width = _LABEL + 2 * (_BAR + 90)
    shapes = [f'<text x="{_LABEL}" y="14">CPU</text><text x="{_LABEL + _BAR + 90}" y="14">memory</text>']
    for index, host in enumerate(snapshot.hosts):
        y = 24 + index * _ROW
        shapes.append(f'<text x="0" y="{y + 15}">{escape(units.fit(host.id, 20))}</text>')
        for column, resource in enumerate((Resource.CPU, Resource.MEMORY)):
            x = _LABEL + column * (_BAR + 90)
            ratios = [_use(host, guests, resource) for guests in (snapshot.guests_by_host[host.id], after[host.id])]
            shapes.append(_bars(x, y, ratios[0], ratios[1]))
    height = 30 + len(snapshot.hosts) * _ROW
    legend = "Upper bars: before; lower bars: after."
    return (
        f'<p class="why">{legend}</p><svg viewBox="0 0 {width} {height}" width="100%" role="img" '
        f'aria-label="use of each host before and after">{"".join(shapes)}</svg>'
    )


def _use(host: Host, guests: Iterable[Guest], resource: Resource) -> float:
    whole = room(host, resource)
    return sum(demand(guest, resource) for guest in guests) / whole if whole else 0.0


def _bars(x: int, y: int, before: float, after: float) -> str:
    def bar(ratio: float, top: int, kind: str) -> str:
        length = _BAR * min(1.0, max(0.0, ratio))
        return f'<rect class="{kind}" x="{x}" y="{top}" width="{length:.1f}" height="9"/>'

    back = f'<rect class="room" x="{x}" y="{y}" width="{_BAR}" height="20"/>'
    words = f"{units.percent(before)} to {units.percent(after)}".replace(" %", "%")
    return (
        back
        + bar(before, y + 1, "before")
        + bar(after, y + 10, "after")
        + f'<text x="{x + _BAR + 6}" y="{y + 15}">{words}</text>'
    )
