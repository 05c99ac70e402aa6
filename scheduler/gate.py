"""The gate: every reason for which the daemon does not plan, or does not act on a plan, as small checks in two lists.

A check looks at a `View` and returns a sentence, or `None` to let pass. To add one, write it and put it in its list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cluster.config.settings import Mode, Settings, WindowKind, WindowSettings
from cluster.host import PowerState
from cluster.plan import Plan, PlanRecord, Sleep, StepState, Wake
from cluster.rates import used_up
from cluster.snapshot import Snapshot
from scheduler import regret
from scheduler.arrivals import Arrival, why_not_shown
from scheduler.manual_moves import flag_of, why_left_alone
from scheduler.resting import resting_guests
from scheduler.windows import any_open, opens_within

if TYPE_CHECKING:
    from scheduler.energy.advice import Advice


@dataclass(frozen=True, slots=True)
class View:
    """All that the gate looks at. `by_request`: a person asked for this plan (drain, apply, approve).

    `advise` asks the energy policy; `None`: nobody wants hosts to sleep.
    """

    settings: Settings
    now: datetime
    started_at: datetime
    snapshot: Snapshot
    flags: Mapping[str, str]
    kill_switch: bool
    last_moves: Mapping[str, datetime] = field(default_factory=dict)
    last_failures: Mapping[str, datetime] = field(default_factory=dict)
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)
    permits_taken: Mapping[str, int] = field(default_factory=dict)
    store_problems: tuple[str, ...] = ()
    by_request: bool = False
    advise: Callable[[], Advice | None] = lambda: None


Check = Callable[[View], str | None]
PlanCheck = Callable[[View, Plan], str | None]


def why_no_action(view: View) -> str | None:
    """Say why nothing may be started now, by anybody: also the last check before each step."""
    return _first(view, ALWAYS)


def why_too_late(windows: Sequence[WindowSettings], now: datetime, seconds: float) -> str | None:
    """Say why a step of so many seconds may not be started now: it would run into a blackout."""
    if seconds <= 0 or not opens_within(windows, WindowKind.BLACKOUT, now, seconds):
        return None
    return f"a blackout window opens before the next step, of about {seconds:.0f} s, would be over"


def why_no_plan(view: View) -> str | None:
    """Say why the daemon makes no plan now."""
    return _first(view, BEFORE_PLANNING)


def why_no_wake(view: View) -> str | None:
    """Say why no host is woken now: waking waits for no rest and no window, only for figures that can be trusted."""
    return _stale_hosts(view)


def why_not_act(view: View, plan: Plan) -> str | None:
    """Say why a plan is not begun by itself."""
    if (why := why_no_action(view)) is not None:
        return why
    for check in BEFORE_ACTING:
        if (why := check(view, plan)) is not None:
            return why
    return None


def why_not_propose(view: View, plan: Plan) -> str | None:
    """Say why a plan is not even put up for approval."""
    return _least_gain(view, plan) or _most_moves(view, plan)


def frozen_guests(view: View, unresolved: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return guests that no plan may move now, with (code, sentence): unresolved, moved often enough, cooling down."""
    safe = (guest for guest in view.snapshot.guests if not view.snapshot.host_by_id[guest.host].failing)
    frozen = used_up(safe, view.settings.rates, view.permits_taken)
    cooldown = timedelta(seconds=view.settings.gate.guest_cooldown_s)
    for guest in view.snapshot.guests:
        moved_at, failed_at = view.last_moves.get(guest.id), view.last_failures.get(guest.id)
        if guest.id in unresolved:
            frozen[guest.id] = ("not_movable", f"unresolved: {unresolved[guest.id]}")
        elif guest.id in frozen:
            continue
        elif not view.by_request and failed_at is not None and view.now - failed_at < cooldown:
            rest = f"it is tried again after {cooldown.total_seconds():g} s"
            frozen[guest.id] = ("cooldown", f"its migration failed at {failed_at:%H:%M:%S} UTC, {rest}")
        elif not view.by_request and moved_at is not None and view.now - moved_at < cooldown:
            frozen[guest.id] = (
                "cooldown",
                f"moved at {moved_at:%H:%M:%S} UTC, rests for {cooldown.total_seconds():g} s",
            )
        elif not view.by_request and (why := _moved_by_hand(view, guest.id)) is not None:
            frozen[guest.id] = ("cooldown", f"{guest.title}: {why}")
    resting = resting_guests(view.snapshot, view.settings.windows, view.flags, view.now)
    return frozen | {guest: why for guest, why in resting.items() if guest not in unresolved}


def _moved_by_hand(view: View, guest: str) -> str | None:
    return why_left_alone(view.flags.get(flag_of(guest)), view.now, view.settings.gate.manual_move_cooldown_s)


def failed_moves(records: Iterable[PlanRecord]) -> dict[str, datetime]:
    """Return when each guest's migration last failed or was aborted, from the latest plans.

    One that was refused twice to the same host counts, too: every new plan would end with the same refusal.
    """
    failed: dict[str, datetime] = {}
    refused: Counter[tuple[str, str]] = Counter()
    for record in records:
        for step in record.plan.migrations:
            written = record.steps.get(step.id)
            if written is None:
                continue
            refused[step.guest, step.target] += written.state is StepState.REFUSED
            again = written.state is StepState.REFUSED and refused[step.guest, step.target] > 1
            if again or written.state in (StepState.FAILED, StepState.ABORTED):
                failed[step.guest] = max(written.at, failed.get(step.guest, written.at))
    return failed


# -- always: before planning, before acting and before each step ---------------------------------------------------


def _paused(view: View) -> str | None:
    return f"paused by {view.flags['paused']}: trimtab resume" if "paused" in view.flags else None


def _kill_switch(view: View) -> str | None:
    path = view.settings.gate.kill_switch
    return f"the kill switch {path} is there: remove it to go on" if view.kill_switch else None


def _blackout(view: View) -> str | None:
    return "a blackout window is open" if any_open(view.settings.windows, WindowKind.BLACKOUT, view.now) else None


# -- before planning -----------------------------------------------------------------------------------------------


def _stale_hosts(view: View) -> str | None:
    hosts = view.snapshot.hosts
    if not hosts:
        return "no host has reported"
    asleep = _asleep(view)
    stale = [host.id for host in hosts if not host.reachable or view.snapshot.is_stale(host)]
    # A host that is silent for long has no report left, and counts all the same.
    stale += [one.id for one in view.settings.hosts if one.id not in view.snapshot.host_by_id]
    stale = [one for one in stale if one not in asleep]
    known = len(({host.id for host in hosts} | {one.id for one in view.settings.hosts}) - asleep)
    if len(stale) > view.settings.gate.stale_hosts_ratio * known:
        named = ", ".join(stale[:3]) + (", ..." if len(stale) > 3 else "")
        return f"{len(stale)} of {known} hosts are stale or unreachable ({named}): the figures cannot be trusted"
    return None


def _asleep(view: View) -> set[str]:
    """Hosts that are silent for a good reason: known to be asleep or off, or put to sleep by us."""
    silent = {host.id for host in view.snapshot.hosts if host.power.state in (PowerState.ASLEEP, PowerState.OFF)}
    return silent | {flag.removeprefix("power:") for flag in view.flags if flag.startswith("power:")}


def _quiet_start(view: View) -> str | None:
    left_s = view.settings.gate.quiet_start_s - (view.now - view.started_at).total_seconds()
    return f"quiet start, {left_s:.0f} s to go" if left_s > 0 and not view.by_request else None


def _settling(view: View) -> str | None:
    """A plan made from figures older than the last move would plan against a world that is gone."""
    if not view.last_moves:
        return None
    last = max(view.last_moves.values())
    waiting = [
        host.id
        for host in view.snapshot.hosts
        if view.snapshot.why_unplannable(host) is None and host.measured_at is not None and host.measured_at <= last
    ]
    if waiting:
        return f"waiting for figures taken after the last move ({', '.join(waiting[:3])})"
    recent = view.now - timedelta(seconds=3 * view.settings.collect.interval_s)
    for guest in view.snapshot.guests:
        if guest.usage.cpu_millicores is None and view.last_moves.get(guest.id, recent) > recent:
            return f"waiting for figures of {guest.title} on its new host"
    return why_not_shown(view.snapshot, view.arrivals)


def _cluster_cooldown(view: View) -> str | None:
    if view.by_request or not view.last_moves:
        return None
    rest_s = view.settings.gate.cluster_cooldown_s - (view.now - max(view.last_moves.values())).total_seconds()
    return f"cooling down after the last move, {rest_s:.0f} s to go" if rest_s > 0 else None


def _regret(view: View) -> str | None:
    return None if view.by_request else regret.why_rest(view.flags, view.settings.gate)


# -- before acting -------------------------------------------------------------------------------------------------


def _store_not_durable(view: View, plan: Plan) -> str | None:
    return f"the store is not safe for a journal: {view.store_problems[0]}" if view.store_problems else None


def _mode(view: View, plan: Plan) -> str | None:
    mode = view.settings.scheduler.mode
    return None if mode is Mode.ACT or view.by_request else f"mode {mode}"


def _act_window(view: View, plan: Plan) -> str | None:
    windows = [window for window in view.settings.windows if window.kind is WindowKind.ACT]
    if view.by_request or not windows or any_open(windows, WindowKind.ACT, view.now):
        return None
    return "no act window is open"


def _least_gain(view: View, plan: Plan) -> str | None:
    """Repair is always worth it; else the policy's goal must get better by a least share."""
    # The energy policy weighs what its plans save against their price over the time expected, and asks for none before
    # the least share could be saved: not each of several small plans has to save it.
    weighed = any(isinstance(step, Sleep | Wake) for step in plan.steps) or (
        plan.policy == "consolidate" and view.advise() is not None
    )
    if view.by_request or weighed or len(plan.goals) < 2 or plan.goals[0].after < plan.goals[0].before:
        return None
    goal = plan.goals[1]
    gain = (goal.before - goal.after) / goal.before if goal.before > 0 else 0.0
    least = regret.least_gain_ratio(view.flags, view.settings.gate)
    return f"the gain of {gain:.1%} is under the least of {least:.1%}" if gain < least else None


def _most_moves(view: View, plan: Plan) -> str | None:
    most = view.settings.gate.max_moves
    return (
        f"{len(plan.migrations)} moves, {most} allowed" if len(plan.migrations) > most and not view.by_request else None
    )


def _first(view: View, checks: Iterable[Check]) -> str | None:
    for check in checks:
        if (why := check(view)) is not None:
            return why
    return None


ALWAYS: tuple[Check, ...] = (_kill_switch, _paused, _blackout)
BEFORE_PLANNING: tuple[Check, ...] = (_stale_hosts, _quiet_start, _settling, _cluster_cooldown, _regret)
BEFORE_ACTING: tuple[PlanCheck, ...] = (_store_not_durable, _mode, _act_window, _least_gain, _most_moves)
