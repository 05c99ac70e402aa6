"""What a plan for the sake of power brings over the horizon, in kWh and money: a note (`x_energy`) on the plan. Pure.

From the plan's own watts before and after, as they are at present loads; taken off are the energy of its moves and, at
the idle draw, of going to sleep and waking again. It informs people: plans are chosen by their goals.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cluster.config.settings import Settings
from cluster.energy_day import kwh
from cluster.plan import Plan, Sleep, Wake
from cluster.power_curves import UNKNOWN, watts_at
from cluster.prices import prices_of
from cluster.snapshot import Snapshot

NOTE = "x_energy"


def with_energy(plan: Plan, snapshot: Snapshot, settings: Settings) -> Plan:
    """Return the plan with its note; one without a sleep or wake step as it is."""
    sleeps = [snapshot.host_by_id[step.host].power for step in plan.steps if isinstance(step, Sleep)]
    if not sleeps and not any(isinstance(step, Wake) for step in plan.steps):
        return plan
    chosen, prices = settings.consolidate, prices_of(settings)
    end = plan.made_at + timedelta(seconds=chosen.horizon_s)
    moves_j = plan.moved_mib / 1024 * chosen.move_joules_per_gib
    sleeps_j = sum(watts_at(power.watts or UNKNOWN, 0.0) * (power.sleep_s + power.wake_s) for power in sleeps)
    saved_kwh = kwh((plan.before.watts - plan.after.watts) * chosen.horizon_s - moves_j - sleeps_j)
    note = {
        "horizon_s": chosen.horizon_s,
        "saved_kwh": round(saved_kwh, 6),
        "taken_off_kwh": round(kwh(moves_j + sleeps_j), 6),
        "money_saved": round(saved_kwh * prices.mean_per_kwh(plan.made_at, end), 4),
        "currency": prices.energy.currency if prices.is_known else None,
    }
    return replace(plan, extra={**plan.extra, (NOTE,): note})
