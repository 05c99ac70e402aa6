"""How a host is emptied by a verb: its flag set, then by the daemon where one leads, else in this process."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from cluster.errors import HostUnreachableError, RefusedError
from cluster.migration.learned import Learned, learn
from cluster.plan import DRAIN, EVACUATE, NotMoved, Plan, StepState
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from reports.units import count
from scheduler.cli.context import Context
from scheduler.cli.here import Here, lead_here
from scheduler.cli.live import POLL_S, check_host, daemon_status, from_reports, open_store_now, who
from scheduler.gate import frozen_guests, why_no_plan
from scheduler.planning import PlanRequest, make_plan

NO_PROGRESS_ROUNDS = 2
MOST_STAYING_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Errand:
    """Why a host is emptied: the flag that says so, and the policy that does it."""

    flag: str
    policy: str


FOR_MAINTENANCE = Errand("drain", DRAIN)
BECAUSE_IT_FAILS = Errand("fail", EVACUATE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a verb that empties a host."""
    parser.add_argument("host", metavar="HOST", help="id of the host")
    parser.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, default=True, help="wait until it is empty (the default)"
    )


def empty_host(args: argparse.Namespace, context: Context, errand: Errand) -> int:
    """Set the flag and see the host emptied; return the exit status."""
    host = args.host
    with open_store_now(context) as store:
        check_host(context, store, host)
        store.set_flag(f"{errand.flag}:{host}", who())
        if store.status() is not None:
            if not args.wait:
                text = f"host {host} is being emptied by the daemon; follow it with: trimtab status"
                context.result(text, {"host": host, "drained": False})
                return 0
            staying, failed = _watch(context, store, host, errand), False
        else:
            staying, failed = None, False
    if staying is None:
        if not args.wait:
            raise RefusedError(f"host {host} is marked, but no daemon leads to empty it: start 'trimtab run'")
        with lead_here(context) as here:
            staying, failed = _empty(here, context, host, errand)
    return _tell(context, host, staying, failed)


def empty_here(here: Here, context: Context, host: str, by: str) -> int:
    """Empty a host in this process for something that follows at once, `by` as its drain flag.

    Return 0; or, who stays having been told and the flag taken back, the exit status.
    """
    store = here.loop.parts.store
    store.set_flag(f"{FOR_MAINTENANCE.flag}:{host}", by)
    try:
        staying, failed = _empty(here, context, host, FOR_MAINTENANCE)
    except BaseException:
        store.set_flag(f"{FOR_MAINTENANCE.flag}:{host}", None)
        raise
    if not staying:
        return 0
    store.set_flag(f"{FOR_MAINTENANCE.flag}:{host}", None)
    return _tell(context, host, staying, failed)


def _tell(context: Context, host: str, staying: Mapping[str, str], failed: bool) -> int:
    if not staying:
        context.result(f"host {host} is empty", {"host": host, "drained": True, "staying": []})
        return 0
    lines = [f"host {host} still holds {count(len(staying), 'guest')}:"]
    lines += [f"  {name}: {why}" for name, why in list(staying.items())[:MOST_STAYING_SHOWN]]
    staying_json = [{"guest": name, "why": why} for name, why in staying.items()]
    context.result("\n".join(lines), {"host": host, "drained": False, "staying": staying_json})
    return 4 if failed else 1


# -- in this process -----------------------------------------------------------------------------------------------


def _empty(here: Here, context: Context, host: str, errand: Errand) -> tuple[dict[str, str], bool]:
    """Plan and carry out until nothing more can leave; return who stays and whether a move failed."""
    fewest, rounds, failed = None, 0, False
    while True:
        view = here.view()
        here.refuse_when_held(view, f"host {host} is marked, but nothing is moved: ")
        left = len(view.snapshot.guests_by_host.get(host, ()))
        if not left:
            _must_be_seen(view.snapshot, host)
            return {}, False
        if not here.turns.until(lambda: why_no_plan(here.view()) is None, context.settings.collect.stale_s):
            raise RefusedError(f"host {host} is marked, but not emptied: {why_no_plan(here.view())}")
        view = here.view()
        store = here.loop.parts.store
        plan = _plan(
            context, view.snapshot, host, frozen_guests(view, store.unresolved()), errand, learn(store.moves())
        )
        rounds = 0 if fewest is None or left < fewest else rounds + 1
        fewest = left if fewest is None else min(fewest, left)
        if not plan.steps or rounds >= NO_PROGRESS_ROUNDS:
            return _staying(view.snapshot, host, plan), failed
        context.progress(f"{count(left, 'guest')} on {host}; {plan.why}")
        record = here.carry_out(plan)
        states = {record.step_state(step.id) for step in plan.steps}
        failed = bool(states & {StepState.FAILED, StepState.UNRESOLVED})
        if states & {StepState.ABORTED} or record.why.startswith("an operator"):
            return _staying(here.view().snapshot, host, plan), failed


def _must_be_seen(snapshot: Snapshot, host: str) -> None:
    """Raise `HostUnreachableError` for a host that is not seen now: nobody knows whether it is empty."""
    seen = snapshot.host_by_id.get(host)
    if seen is None:
        raise HostUnreachableError(f"host {host} is marked, but has not reported: nobody knows what runs there")
    if not seen.reachable or snapshot.is_stale(seen):
        raise HostUnreachableError(f"{snapshot.why_unplannable(seen)}: it is marked, but what runs there is not seen")


def _plan(
    context: Context,
    snapshot: Snapshot,
    host: str,
    frozen: Mapping[str, tuple[str, str]],
    errand: Errand,
    learned: Learned,
) -> Plan:
    chosen = context.settings.scheduler
    request = PlanRequest(
        policy=errand.policy,
        level=chosen.level,
        drained=(host,),
        time_limit_s=chosen.time_limit_s if chosen.work_limit is None else None,
        work_limit=chosen.work_limit,
        workers=chosen.workers,
        seed=chosen.seed,
        engine=chosen.engine,
        frozen=frozen,
        learned=learned,
    )
    return make_plan(snapshot, request, context.settings)


def _staying(snapshot: Snapshot, host: str, plan: Plan | None) -> dict[str, str]:
    """Return who is still on the host, by name, and why."""
    known: dict[str, NotMoved] = {} if plan is None else {one.guest: one for one in plan.not_moved}
    staying = {}
    for guest in snapshot.guests_by_host.get(host, ()):
        why = known[guest.id].text if guest.id in known else guest.why_not
        staying[guest.title] = why or "not moved yet"
    return staying


# -- by the daemon -------------------------------------------------------------------------------------------------


def _watch(context: Context, store: Store, host: str, errand: Errand) -> dict[str, str]:
    """Show progress until the host is empty or nothing has moved for two cycles; return who stays."""
    patience_s = 2 * context.settings.scheduler.interval_s + context.settings.collect.interval_s + 10
    clock = context.clock
    told, said, since_s = -1, "", clock.monotonic_s()
    while True:
        if (by := store.flags().get("paused")) is not None:
            raise RefusedError(f"host {host} is marked, but nothing is moved: paused by {by}: trimtab resume")
        sentence = str((daemon_status(store) or {}).get("sentence", ""))
        if sentence != said and sentence.startswith(("no plan:", "not acting:")):
            context.note(f"the daemon says: {sentence}")
        said = sentence
        snapshot = from_reports(context, store).snapshot
        left = len(snapshot.guests_by_host.get(host, ()))
        if left != told:
            context.progress(f"{count(left, 'guest')} on {host}")
            told, since_s = left, clock.monotonic_s()
        if not left and store.active_plan() is None:
            _must_be_seen(snapshot, host)
            return {}
        if store.status() is None:
            raise RefusedError(f"host {host} is marked, but the daemon is gone: start 'trimtab run', or drain again")
        if store.active_plan() is not None:
            since_s = clock.monotonic_s()
        elif clock.monotonic_s() - since_s > patience_s:
            frozen = {one: ("not_movable", text) for one, text in store.unresolved().items()}
            return _staying(snapshot, host, _plan(context, snapshot, host, frozen, errand, learn(store.moves())))
        clock.sleep(POLL_S)
