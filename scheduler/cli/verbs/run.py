"""`trimtab run`: the daemon."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cluster.errors import UnreachableError
from cluster.plan import Migrate, PlanRecord, StepState
from cluster.snapshot import Snapshot
from reports.cluster_bars import bars_of, cluster_bars
from reports.summary import Summary, spreads, summary_json, summary_text
from reports.units import count, percent
from scheduler.cli.arguments import positive
from scheduler.cli.context import Context
from scheduler.daemon import Daemon
from scheduler.loop import Loop
from scheduler.reload import taken_over
from scheduler.wiring import build_loop, effective_settings, open_parts

DESCRIPTION = (
    "The daemon: watches, plans, and in mode act moves guests by itself. Ctrl-C finishes what runs and starts nothing "
    "more, a second one aborts what runs. SIGTERM stops at once: migrations under way go on and are taken up again by "
    "the next start. SIGHUP reads the configuration again."
)
EXAMPLES = """\
  trimtab run
  trimtab run --config config/demo.toml --for 60
"""
SHOW_EVERY_S = 10.0
FIRST_SHOWN_AFTER_S = 0.5
LATEST_PLANS = 20
"""More than can begin between two looks."""

Moves = tuple[int, int, float]
"""Migrations done and failed, and MiB moved."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--for", dest="for_s", type=positive, metavar="S", help="stop after so many seconds")


def run(args: argparse.Namespace, context: Context) -> int:
    """Run until told to stop, then sum up."""
    logging.basicConfig(level=logging.INFO if context.verbose else logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    settings, clock = context.settings, context.clock
    parts = open_parts(settings, clock, own_store=True)

    def say(text: str) -> None:
        context.progress(f"{clock.now():%H:%M:%S} {text}")

    try:
        loop = build_loop(parts, settings, clock, say)
    except BaseException:
        parts.close()
        raise
    try:
        view = _View(context, loop)
        say(f"mode {settings.scheduler.mode}, policy {settings.scheduler.policy}; watching")
        with view.shown():
            Daemon(loop, say, lambda it: _reload(it, context, say)).run(args.for_s)
        summary, after = view.summary()
        context.result(summary_text(summary, bars_of(after)), summary_json(summary))
        return 0 if not summary.moves_failed and not summary.unresolved else 4
    finally:
        _say_goodbye(loop)
        loop.close()


def _say_goodbye(loop: Loop) -> None:
    """Let the published status expire, so that nobody takes us for still running."""
    if loop.leadership.lease is not None:
        with suppress(UnreachableError):
            loop.parts.store.put_status("{}", 0.001)


def _reload(loop: Loop, context: Context, say: Callable[[str], None]) -> None:
    """Read the configuration again. What the parts were opened with stays until the next start."""
    from cluster.config.loader import load_settings

    loaded = load_settings(context.config, context.overrides)
    settings, waiting = taken_over(loop.settings, effective_settings(loaded.settings, loop.parts))
    loop.take(settings)
    if waiting:
        say(f"counts from the next start: {', '.join(waiting)}")


class _View:
    """What a person sees of the cluster while the daemon runs, and the summary of it all."""

    def __init__(self, context: Context, loop: Loop) -> None:
        self._context = context
        self._loop = loop
        self._began = context.clock.now()
        self._before: Snapshot | None = None
        self._said = ""
        self._latest: dict[str, Moves] = {}
        self._older: Moves = (0, 0, 0.0)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the cluster now and then, on a thread of its own, while inside."""
        over = threading.Event()

        def show_on() -> None:
            pause_s = FIRST_SHOWN_AFTER_S
            while not over.wait(pause_s):
                self.show()
                pause_s = SHOW_EVERY_S

        thread = threading.Thread(target=show_on, name="show", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(SHOW_EVERY_S)

    def show(self) -> None:
        """Show the hosts once they are first seen, then how even they are whenever that has changed."""
        snapshot = self._snapshot()
        if not snapshot.hosts:
            return
        cpu, memory = spreads(snapshot)
        if self._before is None:
            self._before = snapshot
            self._context.progress(cluster_bars(bars_of(snapshot)))
        done, failed, _ = self._moves()
        said = f"spread over hosts: CPU {percent(cpu)}, memory {percent(memory)}; {count(done, 'move')} done"
        said += f", {failed} failed" if failed else ""
        if said != self._said:
            self._context.progress(f"{self._context.clock.now():%H:%M:%S} {said}")
        self._said = said

    def summary(self) -> tuple[Summary, Snapshot]:
        """Return what the run did, and the cluster as it is now."""
        after = self._snapshot()
        before = self._before or after
        (cpu_before, memory_before), (cpu_after, memory_after) = spreads(before), spreads(after)
        world = self._loop.parts.world
        done, failed, mib = self._moves()
        summary = Summary(
            lasted_s=(self._context.clock.now() - self._began).total_seconds(),
            cpu_before=cpu_before,
            cpu_after=cpu_after,
            memory_before=memory_before,
            memory_after=memory_after,
            moves_done=done,
            moves_failed=failed,
            moved_mib=mib,
            unresolved=self._unresolved(),
            wrong=None if world is None else tuple(one.text for one in world.violations()),
        )
        return summary, after

    def _snapshot(self) -> Snapshot:
        """Return the cluster: the truth where it is simulated, else as last reported."""
        try:
            return self._loop.see(None).snapshot
        except UnreachableError:
            return self._before or Snapshot("", self._began, (), ())

    def _moves(self) -> Moves:
        """Return migrations done and failed since the start, and MiB moved."""
        with suppress(UnreachableError):
            latest = {one.plan.id: self._moves_of(one) for one in self._loop.parts.store.plans(LATEST_PLANS)}
            self._older = _sum(self._older, *(moves for plan, moves in self._latest.items() if plan not in latest))
            self._latest = latest
        return _sum(self._older, *self._latest.values())

    def _moves_of(self, record: PlanRecord) -> Moves:
        done, failed, mib = 0, 0, 0.0
        for step in record.plan.steps:
            written = record.steps.get(step.id)
            if not isinstance(step, Migrate) or written is None or written.at < self._began:
                continue
            done += written.state is StepState.DONE
            failed += written.state in (StepState.FAILED, StepState.UNRESOLVED)
            mib += written.mib
        return done, failed, mib

    def _unresolved(self) -> int:
        try:
            return len(self._loop.parts.store.unresolved())
        except UnreachableError:
            return 0


def _sum(*moves: Moves) -> Moves:
    done, failed, mib = zip(*moves, strict=True)
    return sum(done), sum(failed), sum(mib)
