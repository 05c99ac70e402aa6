"""The end of a run in a few lines: how even the cluster was and is, what was moved, and whether anything went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from cluster.snapshot import Snapshot
from reports import units
from reports.cluster_bars import HostBar, bars_of, cluster_bars, spread


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did. Spreads are standard deviations over the hosts that are on, as ratios of (capacity - reserved).

    `wrong` holds a sentence for each moment a rule was newly broken or worse; `None`: nobody watched every moment.
    """

    lasted_s: float
    cpu_before: float
    cpu_after: float
    memory_before: float
    memory_after: float
    moves_done: int
    moves_failed: int
    moved_mib: float = 0.0
    unresolved: int = 0
    wrong: tuple[str, ...] | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed, nothing is unresolved and no rule got worse."""
        return not (self.moves_failed or self.unresolved or self.wrong)


def spreads(snapshot: Snapshot) -> tuple[float, float]:
    """Return the spread of CPU and of memory over the hosts that can be planned with."""
    plannable = {host.id for host in snapshot.hosts if snapshot.why_unplannable(host) is None}
    bars = [bar for bar in bars_of(snapshot) if bar.host in plannable]
    return spread(bar.cpu_ratio for bar in bars), spread(bar.memory_ratio for bar in bars)


def summary_text(summary: Summary, after: Sequence[HostBar] = ()) -> str:
    """Return the summary for people, with the hosts at the end as bars."""
    lines = ["", f"Summary of {units.duration(summary.lasted_s)}"]
    if after:
        lines += ["", *(f"  {line}" for line in cluster_bars(after).splitlines()), ""]
    lines += [
        f"  CPU spread over hosts     {_change(summary.cpu_before, summary.cpu_after)}",
        f"  memory spread over hosts  {_change(summary.memory_before, summary.memory_after)}",
        f"  moves                     {summary.moves_done} done, {summary.moves_failed} failed"
        + (f", {summary.unresolved} unresolved" if summary.unresolved else "")
        + (f"; {units.size(summary.moved_mib)} over the network" if summary.moved_mib else ""),
    ]
    if summary.wrong is not None:
        broken = "none at any moment" if not summary.wrong else units.count(len(summary.wrong), "time")
        lines.append(f"  rules broken by moves     {broken}")
        lines += [f"    {units.fit(units.plain(text), 94)}" for text in summary.wrong[:10]]
    return "\n".join(lines) + "\n"


def summary_json(summary: Summary) -> dict[str, object]:
    """Return the summary as data ready for JSON."""
    return {**asdict(summary), "wrong": None if summary.wrong is None else list(summary.wrong)}


def _change(before: float, after: float) -> str:
    text = f"{units.percent(before):>6} before, {units.percent(after):>6} after"
    if before <= 0:
        return text
    change = (after - before) / before
    if abs(change) < 0.005:
        return f"{text} (no change)"
    return f"{text} ({units.percent(abs(change))} {'less' if change < 0 else 'more'})"
