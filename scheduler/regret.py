"""Regret: what the moves of a plan really gained against what it promised, and what a run of bad plans leads to.

The gain is measured with the load as it is now: how uneven the cluster would be with the moves undone, less how uneven
it is. A load that changed meanwhile thus counts only where it made the moves pointless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.config.settings import GateSettings
from cluster.plan import Figures, PlanRecord, PlanState, StepState
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from scheduler.check.goals import imbalance

PREFIX = "regret:"
"""Flags of the store that keep a judgement, each with the plan's id, which sorts by time."""
MOST_KEPT = 20
TOO_LATE = timedelta(days=1)
"""A plan that ended longer ago is not judged any more: too much else has happened."""
MOST_RAISED = 0.5
"""The least gain is never raised above this share, unless it was set so."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Gain in balance (the contract's I) that a plan promised, and what its moves gained."""

    predicted: float
    measured: float
    moves: int

    @property
    def ratio(self) -> float:
        """The part of the promise that was kept; 1 where nothing was promised."""
        return self.measured / self.predicted if self.predicted > 0 else 1.0


def due(
    records: Iterable[PlanRecord], flags: Mapping[str, str], settings: GateSettings, now: datetime
) -> list[PlanRecord]:
    """Return the ended balance plans that can be judged now and have not been, oldest first."""
    wanted = []
    for record in records:
        done = [one.at for one in record.steps.values() if one.state is StepState.DONE]
        if record.state is not PlanState.ENDED or record.plan.policy != "balance" or not done:
            continue
        age = now - max(done)
        if PREFIX + record.plan.id not in flags and timedelta(seconds=settings.regret_after_s) <= age <= TOO_LATE:
            wanted.append(record)
    return sorted(wanted, key=lambda record: record.plan.id)


def judge(record: PlanRecord, snapshot: Snapshot) -> Judgement | None:
    """Judge a plan by the cluster as it is. `None` when none of its moves can be: guests gone on, unknown or unseen."""
    now = {guest.id: guest.host for guest in snapshot.guests}
    usable = [host.id for host in snapshot.hosts if snapshot.why_no_target(host) is None]
    start: dict[str, str] = {}
    for step in record.plan.migrations:
        if record.step_state(step.id) is StepState.DONE:
            start.setdefault(step.guest, step.source)
            start[step.guest] = start[step.guest] if now.get(step.guest) == step.target or step.parking else ""
    undone = {guest: host for guest, host in start.items() if host in usable and now.get(guest) in usable}
    if not undone or any(guest.usage.cpu_millicores is None for guest in snapshot.guests if guest.host in usable):
        return None
    share = len(undone) / max(1, len({step.guest for step in record.plan.migrations}))
    predicted = (_imbalance_of(record.plan.before) - _imbalance_of(record.plan.after)) * share
    measured = imbalance(snapshot, now | undone, usable, ()) - imbalance(snapshot, now, usable, ())
    return Judgement(predicted, measured, len(undone))


def write(judgement: Judgement) -> str:
    """Return a judgement as a flag keeps it."""
    return f"{judgement.predicted:.9g} {judgement.measured:.9g} {judgement.moves}"


def line(plan: str, judgement: Judgement) -> str:
    """Return what the log says of a bad plan."""
    gained = f"{judgement.ratio:.0%}" if judgement.measured > 0 else "nothing"
    return f"plan {plan} gained {gained} of what it promised: the next must promise twice as much"


def read(text: str) -> Judgement | None:
    """Read what `write` wrote; `None` for anything else."""
    parts = text.split()
    try:
        return Judgement(float(parts[0]), float(parts[1]), int(parts[2])) if len(parts) == 3 else None
    except ValueError:
        return None


def kept(flags: Mapping[str, str]) -> list[Judgement]:
    """Return the judgements that the flags keep, newest first."""
    names = sorted((name for name in flags if name.startswith(PREFIX)), reverse=True)
    return [judgement for name in names if (judgement := read(flags[name])) is not None]


def outworn(flags: Mapping[str, str]) -> list[str]:
    """Return the flags of judgements beyond those that are kept."""
    return sorted((name for name in flags if name.startswith(PREFIX)), reverse=True)[MOST_KEPT:]


def forget(store: Store) -> None:
    """Start anew: a person has looked."""
    for flag in store.flags():
        if flag.startswith(PREFIX):
            store.set_flag(flag, None)


def bad_run(flags: Mapping[str, str], settings: GateSettings) -> list[Judgement]:
    """Return the latest judgements in a row that kept less of their promise than they should."""
    run = []
    for judgement in kept(flags):
        if judgement.ratio >= settings.regret_least_ratio:
            break
        run.append(judgement)
    return run


def least_gain_ratio(flags: Mapping[str, str], settings: GateSettings) -> float:
    """Return the least gain that a plan must promise: doubled for each bad plan in a row."""
    raised: float = settings.least_gain_ratio * 2.0 ** len(bad_run(flags, settings))
    return max(settings.least_gain_ratio, min(MOST_RAISED, raised))


def why_rest(flags: Mapping[str, str], settings: GateSettings) -> str | None:
    """Say why no more plans are made by themselves, once too many in a row were bad."""
    run = bad_run(flags, settings)
    if len(run) < settings.regret_limit:
        return None
    predicted, measured = sum(one.predicted for one in run), sum(one.measured for one in run)
    got = f"{max(0.0, measured / predicted):.0%}" if predicted > 0 else "nothing"
    return f"the last {len(run)} plans gained {got} of what they promised: look why, then say 'trimtab resume'"


def _imbalance_of(figures: Figures) -> float:
    """The sum over hosts of squared deviations, from the standard deviations that a plan states."""
    return figures.hosts_on * (figures.cpu_stdev**2 + figures.memory_stdev**2)
