"""How a host is put to sleep or woken by a verb: a plan of one step, by the daemon where one leads, else here."""

from __future__ import annotations

import argparse

from cluster import power_sight
from cluster.errors import RefusedError
from cluster.formats.plan_file import write_plan
from cluster.plan import PlanRecord, Sleep, StepState, Wake
from scheduler.cli.context import Context
from scheduler.cli.follow import follow
from scheduler.cli.here import exit_status, lead_here, outcome_json
from scheduler.cli.live import check_host, look, open_store_now, send, wait_until, who
from scheduler.power.by_hand import STEP, is_so_already, plan_of, why_not

BEGUN_WITHIN_S = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a verb that changes a host's power."""
    parser.add_argument("host", metavar="HOST", help="id of the host")


def change(context: Context, step: Sleep | Wake) -> int:
    """See it done; return the exit status."""
    asked = "sleeps" if isinstance(step, Sleep) else "is on"
    with open_store_now(context) as store:
        check_host(context, store, step.host)
        leads = store.status() is not None
        if leads:
            snapshot, now = look(context, store).snapshot, context.clock.now()
            if is_so_already(step, snapshot):
                return _nothing(context, step, asked)
            if (active := store.active_plan()) is not None:
                raise RefusedError(f"plan {active.plan.id} is under way: wait for it or abort it")
            if (by := store.flags().get("paused")) is not None:
                raise RefusedError(f"paused by {by}: trimtab resume")
            if (why := why_not(step, snapshot, context.settings, store.flags(), now)) is not None:
                raise RefusedError(why)
            plan = plan_of(step, snapshot, context.settings, who())
            send(context, store, "power", write_plan(plan))
            if not wait_until(context, lambda: store.plan(plan.id) is not None, BEGUN_WITHIN_S):
                raise RefusedError(f"the daemon did not begin it within {BEGUN_WITHIN_S:g} s; its log says why")
            return _tell(context, step, follow(context, store, plan.id), asked)
    return _here(context, step, asked)


def _here(context: Context, step: Sleep | Wake, asked: str) -> int:
    with lead_here(context) as here:
        view = here.view()
        here.refuse_when_held(view)
        if is_so_already(step, view.snapshot):
            return _nothing(context, step, asked)
        if (why := why_not(step, view.snapshot, view.settings, view.flags, view.now)) is not None:
            raise RefusedError(why)
        if isinstance(step, Wake):
            here.loop.parts.store.set_flag(power_sight.BY_HAND + step.host, who())
        return _tell(context, step, here.carry_out(plan_of(step, view.snapshot, view.settings, who())), asked)


def _nothing(context: Context, step: Sleep | Wake, asked: str) -> int:
    context.result(f"host {step.host} {asked} already: nothing to do", {"host": step.host, "done": True, "steps": []})
    return 0


def _tell(context: Context, step: Sleep | Wake, record: PlanRecord, asked: str) -> int:
    done = record.step_state(STEP) is StepState.DONE
    written = record.steps.get(STEP)
    why = record.why if written is None else written.detail
    text = f"host {step.host} {asked}" if done else f"host {step.host}: {record.step_state(STEP)}: {why}"
    context.result(text, {"host": step.host, "done": done, **outcome_json(record)})
    return exit_status(record)
