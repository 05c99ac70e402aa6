"""What a plan says, in sentences that every rendering shares: what is wrong, how good it is, what a step does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cluster.plan import Figures, Migrate, Plan, Sleep, Status, Step, TierValue
from reports import energy_words, units

_STATUS = {
    Status.OPTIMAL: "optimal: proven that no plan is better",
    Status.FEASIBLE: "feasible: valid, better than now, not proven best",
    Status.NOTHING_TO_DO: "nothing to do",
    Status.INFEASIBLE: "infeasible",
}

_SHOWN: dict[str, Callable[[float], str]] = {"moved_mib": units.size, "consolidate": units.watts}
"""How values of a tier are shown, where not as plain figures."""

_PROVEN = 5e-7
"""A gap under this is nil: plans carry six decimals."""

_LEAST_SHARE = 0.0005
"""A share of the gain under this is not shown: many moves of a plan pay only together."""


@dataclass(frozen=True, slots=True)
class StepWords:
    """One step as short texts; `cost` and `gain` are empty where there is none."""

    id: str
    what: str
    way: str
    cost: str
    gain: str
    after: str
    reason: str


def status(plan: Plan) -> str:
    """Return the answer in words."""
    return _STATUS[plan.status]


def wrong_now(plan: Plan) -> list[str]:
    """Return what is wrong before the plan, a line each; never empty."""
    lines = []
    before = plan.before
    if before.broken_rules:
        lines.append(f"{units.count(before.broken_rules, 'breach', 'breaches')} of rules")
    repair = next((goal for goal in plan.goals if goal.tier == "repair"), None)
    if repair is not None and (over := repair.before - before.broken_rules) > 1e-6:
        lines.append(f"hosts over their limits, by {units.percent(over)} of their room together")
    if not lines:
        lines.append("no rule is broken, no host is over its limits")
    cpu = f"CPU: busiest host {units.percent(before.cpu_max)}, spread {units.percent(before.cpu_stdev)}"
    memory = f"memory: fullest host {units.percent(before.memory_max)}, spread {units.percent(before.memory_stdev)}"
    return [*lines, f"{cpu}; {memory}"]


def figures(plan: Plan) -> list[tuple[str, str, str]]:
    """Return (name, before, after) of every figure, in the order of the plan file."""

    def texts(one: Figures) -> tuple[str, ...]:
        return (
            str(one.hosts_on),
            units.watts(one.watts),
            units.percent(one.cpu_max),
            units.percent(one.cpu_stdev),
            units.percent(one.memory_max),
            units.percent(one.memory_stdev),
            str(one.broken_rules),
        )

    names = (
        "hosts on",
        "power",
        "CPU, busiest host",
        "CPU, spread over hosts",
        "memory, fullest host",
        "memory, spread over hosts",
        "rules broken",
    )
    return list(zip(names, texts(plan.before), texts(plan.after), strict=True))


def energy(plan: Plan) -> str:
    """Return what a plan that sleeps or wakes hosts brings over its horizon, as a sentence; nothing of others."""
    return energy_words.plan_line(plan.extra.get(("x_energy",)))


def goal(value: TierValue) -> str:
    """Return one tier's value, bound and gap as a sentence."""
    shown = _SHOWN.get(value.tier, units.figure)
    said = f"{shown(value.before)} now, {shown(value.after)} after"
    if value.gap <= _PROVEN:
        return f"{said}; proven best"
    bound = f"no plan can get below {shown(value.bound)}"
    if value.after < value.before and value.gap < 1:
        return f"{said}; {bound}: at least {units.percent(1 - value.gap)} of the possible gain"
    return f"{said}; {bound}"


def totals(plan: Plan) -> str:
    """Return how much work the plan is, as one sentence."""
    migrations = plan.migrations
    if not plan.steps:
        return "no steps"
    parts = [units.count(len(migrations), "move")]
    if parked := sum(step.parking for step in migrations):
        parts[0] += f" ({parked} of them to make room)"
    asleep = sum(isinstance(step, Sleep) for step in plan.steps)
    awake = len(plan.steps) - len(migrations) - asleep
    if asleep:
        parts.append(f"{units.count(asleep, 'host')} to sleep")
    if awake:
        parts.append(f"{units.count(awake, 'host')} woken")
    if migrations:
        parts.append(f"{units.size(plan.moved_mib)} over the network")
        parts.append(f"about {units.duration(plan.makespan_s)} (at best {units.duration(plan.makespan_bound_s)})")
    return ", ".join(parts)


def common_note(plan: Plan) -> str:
    """Return what every estimate of the plan says was assumed, or nothing where they differ or there is only one."""
    notes = {units.plain(move.estimate.note) for move in plan.migrations}
    return notes.pop() if len(notes) == 1 and len(plan.migrations) > 1 else ""


def step(one: Step, said: str = "") -> StepWords:
    """Return a step in words; a note that is `said` elsewhere already is left out."""
    after = ", ".join(one.after)
    reason = units.plain(one.reason)
    if isinstance(one, Migrate):
        estimate = one.estimate
        cost = f"{units.size(estimate.mib)} in {units.duration(estimate.seconds)}, down {estimate.downtime_ms} ms"
        if estimate.converges < 0.95:
            cost += f", converges {units.percent(estimate.converges)}"
        what = "park" if one.parking else "move"
        gain = units.percent(one.gain_share) if one.gain_share >= _LEAST_SHARE else ""
        way = f"{one.source} -> {one.target}"
        name = units.plain(one.guest_name or one.guest)
        note = units.plain(estimate.note)
        notes = f"{reason}; {note}" if note and note != said else reason
        return StepWords(one.id, f"{what} {name}", units.plain(way), cost, gain, after, notes)
    if isinstance(one, Sleep):
        saves = f"saves {units.watts(one.saves_watts)}"
        return StepWords(one.id, "sleep", units.plain(one.host), saves, "", after, reason)
    return StepWords(one.id, "wake", units.plain(one.host), "", "", after, reason)


def not_moved(plan: Plan, most: int) -> tuple[list[tuple[str, str]], int]:
    """Return (code, sentence) of the first `most` guests that stay, and how many are left out."""
    shown = [(one.code, units.plain(one.text)) for one in plan.not_moved[:most]]
    return shown, len(plan.not_moved) - len(shown)
