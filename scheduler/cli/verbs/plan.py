"""`trimtab plan`: what would be moved, in which order and why. A dry run, always; `--show` renders a saved plan."""

from __future__ import annotations

import argparse
import gc
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cluster.config.settings import Settings
from cluster.errors import InputError
from cluster.formats.plan_file import load_plan, plan_to_json, write_plan
from cluster.migration.learned import Learned
from cluster.plan import EMPTYING, Plan, Status
from cluster.snapshot import Snapshot
from policies.registry import POLICIES
from scheduler.cli.arguments import positive, read_snapshot, whole, write_file
from scheduler.cli.context import Context
from scheduler.planning import PlanRequest, make_plan

DESCRIPTION = "What would be moved, in which order and why. Never touches a host. Ctrl-C takes the best found so far."
EXAMPLES = """\
  trimtab plan                                      balance, from what the agents report
  trimtab plan --from cluster.json --policy consolidate
  trimtab plan --policy drain --host kvm-a1 --out drain.json
  trimtab plan --show drain.json --format html --out drain.html
  trimtab plan --from cluster.json --work-limit 10 --seed 7 --json
"""
FORMATS = ("text", "json", "html", "md")
_FORMAT_OF_SUFFIX = {".txt": "text", ".json": "json", ".html": "html", ".htm": "html", ".md": "md"}

SMALL_CLUSTER = 20 * 200
"""Hosts x guests up to which `SHORT_S` is time enough."""

SHORT_S = 1.7
"""Enough for CP-SAT to load and to prove something, and for an answer within three seconds of the process's start."""

FEW_CLUSTER, FEW_S = 100 * 1000, 0.42
"""Hosts x guests up to which so long is enough for few moves, where CP-SAT has no part: more gains little."""
MOST_PROVEN = 20_000
"""Hosts x guests up to which CP-SAT could prove an answer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    what = parser.add_argument_group("what to plan")
    what.add_argument(
        "--from", dest="file", metavar="FILE", help="a cluster file, - for standard input (default: live)"
    )
    what.add_argument("--policy", choices=sorted(POLICIES), help="what is wanted (default: scheduler.policy)")
    what.add_argument(
        "--host", dest="hosts", metavar="H", action="append", help="a host to drain or evacuate; may be repeated"
    )
    what.add_argument("--level", type=whole(1, 5), metavar="1..5", help="how eager (default: scheduler.level)")
    what.add_argument("--max-moves", type=whole(0), metavar="N", help="most migrations, parking included")
    effort = parser.add_argument_group("how long to look")
    limit = effort.add_mutually_exclusive_group()
    limit.add_argument("--time-limit", type=positive, metavar="S", help="seconds; what is found may differ each time")
    limit.add_argument("--work-limit", type=positive, metavar="N", help="deterministic units: the same plan each time")
    effort.add_argument("--workers", type=whole(1, 256), metavar="N", help="threads (default: scheduler.workers)")
    effort.add_argument("--seed", type=whole(0, 2**31 - 1), metavar="N", help="(default: scheduler.seed)")
    output = parser.add_argument_group("what to print")
    output.add_argument("--show", metavar="PLANFILE", help="render a saved plan instead of making one")
    output.add_argument("--format", choices=FORMATS, help="of the output (default: text, or by the name of --out)")
    output.add_argument("--out", type=Path, metavar="FILE", help="write the plan there, as JSON unless told otherwise")


def run(args: argparse.Namespace, context: Context) -> int:
    """Make or load a plan and render it."""
    _refuse_contradictions(args, context)
    with _no_search_for_garbage():
        return _run(args, context)


def _run(args: argparse.Namespace, context: Context) -> int:
    snapshot: Snapshot | None
    if args.show is not None:
        plan = load_plan(Path(args.show))
        snapshot = _shown_snapshot(args, context, plan)
    else:
        snapshot, frozen, learned = _look(args, context)
        plan = _make(args, context, snapshot, frozen, learned)
    _put(args, context, plan, snapshot)
    if args.show is None and plan.status is Status.INFEASIBLE:
        return 1
    return 0


@contextmanager
def _no_search_for_garbage() -> Iterator[None]:
    """All that is made for a plan lasts as long as the verb: going through it again and again takes a quarter of it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def default_time_limit_s(snapshot: Snapshot, settings: Settings, few: bool = False) -> float:
    """Return the time to look: `SHORT_S` for a small cluster, more with its size, up to the configured limit.

    `few`: moves are capped, and the goal is not to power hosts off.
    """
    pairs = len(snapshot.hosts) * len(snapshot.guests)
    if few and pairs > MOST_PROVEN:
        return min(FEW_S * max(1.0, pairs / FEW_CLUSTER), settings.scheduler.time_limit_s)
    wanted = SHORT_S * max(1.0, len(snapshot.hosts) * len(snapshot.guests) / SMALL_CLUSTER)
    return min(wanted, max(SHORT_S, settings.scheduler.time_limit_s))


def _refuse_contradictions(args: argparse.Namespace, context: Context) -> None:
    if context.as_json and args.out is None and args.format not in (None, "json"):
        raise InputError(f"plan: --json and --format {args.format} contradict; leave one of them out")
    if args.show is not None:
        unused = {
            "--policy": args.policy,
            "--host": args.hosts,
            "--level": args.level,
            "--max-moves": args.max_moves,
            "--time-limit": args.time_limit,
            "--work-limit": args.work_limit,
            "--workers": args.workers,
            "--seed": args.seed,
        }
        for option, value in unused.items():
            if value is not None:
                raise InputError(f"plan: {option} is for making a plan; --show only renders one: leave one of them out")
        return
    policy = args.policy or context.settings.scheduler.policy
    if policy in EMPTYING and not args.hosts:
        raise InputError(f"plan: --policy {policy} needs to know what to empty: add --host HOST")
    if args.hosts and policy not in EMPTYING:
        raise InputError(f"plan: --host goes with --policy drain, not with {policy}: add --policy drain")


def _look(args: argparse.Namespace, context: Context) -> tuple[Snapshot, dict[str, tuple[str, str]], Learned]:
    """Return the cluster to plan for, guests that may not move, each with (code, sentence), and what moves taught."""
    frozen: dict[str, tuple[str, str]] = {}
    learned = Learned()
    if args.file is not None:
        snapshot = read_snapshot(args.file, context.settings)
    else:
        from scheduler.cli.live import look_now

        seen = look_now(context)
        snapshot, learned = seen.snapshot, seen.learned
        frozen = {guest: ("not_movable", f"unresolved: {text}") for guest, text in seen.unresolved.items()}
    for host in args.hosts or ():
        if host not in snapshot.host_by_id:
            raise InputError(f"plan: --host: found {host!r}; allowed: {_some(snapshot)}")
    return snapshot, frozen, learned


def _some(snapshot: Snapshot) -> str:
    ids = sorted(snapshot.host_by_id)
    return ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "") if ids else "no host is known"


def _make(
    args: argparse.Namespace,
    context: Context,
    snapshot: Snapshot,
    frozen: Mapping[str, tuple[str, str]],
    learned: Learned,
) -> Plan:
    settings = context.settings
    scheduler = settings.scheduler
    work_limit = args.work_limit
    if work_limit is None and args.time_limit is None:
        work_limit = scheduler.work_limit
    time_limit_s = args.time_limit
    few = args.max_moves is not None and (args.policy or scheduler.policy) == "balance"
    if time_limit_s is None and work_limit is None:
        time_limit_s = default_time_limit_s(snapshot, settings, few)
    request = PlanRequest(
        policy=args.policy or scheduler.policy,
        level=args.level if args.level is not None else scheduler.level,
        drained=tuple(sorted(set(args.hosts or ()))),
        max_moves=args.max_moves,
        time_limit_s=time_limit_s,
        work_limit=work_limit,
        workers=args.workers or scheduler.workers,
        seed=args.seed if args.seed is not None else scheduler.seed,
        engine=scheduler.engine,
        frozen=frozen,
        learned=learned,
    )
    with _interruptible(context) as stop:
        return _on_a_thread(lambda: make_plan(snapshot, request, settings, stop.is_set))


def _on_a_thread(work: Callable[[], Plan]) -> Plan:
    """Do the work on another thread: a signal is heard only while this one is not inside the solver."""
    results: list[Plan] = []
    errors: list[BaseException] = []

    def do() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread and raised there
            errors.append(error)

    thread = threading.Thread(target=do, name="planning", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def _interruptible(context: Context) -> Iterator[threading.Event]:
    """Let the first interrupt from the keyboard set the event given; a second one ends the verb."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heard(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        context.note("stopping; taking the best found so far")

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _shown_snapshot(args: argparse.Namespace, context: Context, plan: Plan) -> Snapshot | None:
    """Return the snapshot that a saved plan was made from, where it was named. It must be the right one."""
    if args.file is None:
        return None
    snapshot = read_snapshot(args.file, context.settings)
    if snapshot.id != plan.snapshot:
        raise InputError(
            f"{args.file}: found snapshot {snapshot.id}; allowed: {plan.snapshot}, which {args.show} was made from"
        )
    return snapshot


def _put(args: argparse.Namespace, context: Context, plan: Plan, snapshot: Snapshot | None) -> None:
    if args.out is None:
        form = args.format or ("json" if context.as_json else "text")
        context.write(_render(form, plan, snapshot))
        return
    form = args.format or _FORMAT_OF_SUFFIX.get(args.out.suffix.lower(), "json")
    write_file(args.out, _render(form, plan, snapshot))
    context.result(_render("text", plan, snapshot), plan_to_json(plan))
    carry_out = f"; carry it out with: trimtab apply {args.out}" if form == "json" and plan.steps else ""
    context.note(f"written to {args.out}{carry_out}")


def _render(form: str, plan: Plan, snapshot: Snapshot | None) -> str:
    if form == "json":
        return write_plan(plan)
    if form == "html":
        from reports.plan_html import plan_html

        return plan_html(plan, snapshot)
    if form == "md":
        from reports.plan_markdown import plan_markdown

        return plan_markdown(plan)
    from reports.plan_text import plan_text

    return plan_text(plan)
