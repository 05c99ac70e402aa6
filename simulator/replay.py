"""The scenario runner: the real loop on a pretend cluster in virtual time, told as a log that is the same every time.

The loop is whatever a factory returns, so nothing here knows how it is built. Each line of the log is
`H:MM:SS WHO text`, WHO being `world` (what truly happened), `loop` (what it said) or `person` (what was asked of it).
Plans are named P1, P2, ... in the order they are spoken of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from cluster.config.settings import Settings
from simulator.clock import SimClock
from simulator.scenario import Scenario, Timed
from simulator.scenario_file import load_scenario
from simulator.world import World

_LEAST_TURN_S = 0.01
_PLAN_ID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")


class Loop(Protocol):
    """What a scenario drives: the real loop, bound to a world and its clock."""

    @property
    def next_due_s(self) -> float:
        """When it wants its next turn, on the clock's `monotonic_s`."""

    def step(self) -> None:
        """Take one turn now: collect, decide, act, watch, whatever is due."""

    def command(self, verb: str, argument: str) -> None:
        """Ask it for something as a person would, by the store."""

    def take_lines(self) -> list[str]:
        """Return what it has said since the last call, without ids or figures that differ from run to run."""

    def close(self) -> None:
        """End it in good order."""


LoopFactory = Callable[[World, Settings, SimClock], Loop]
"""Builds a loop. Called again after a `crash`, for the same world: then it finds the store as it was left."""


def run_scenario(folder: Path, loop_factory: LoopFactory) -> list[str]:
    """Run a scenario folder and return its log. `InputError` for a bad folder."""
    return run(load_scenario(folder), loop_factory)


def run(scenario: Scenario, loop_factory: LoopFactory) -> list[str]:
    """Run a scenario in virtual time and return its log, ended by a summary of the world."""
    with _kill_switch(scenario.settings) as (switch, settings):
        replay = _Replay(replace(scenario, settings=settings), loop_factory, switch)
        replay.to_the_end()
        return [line.replace(str(switch), "KILL_SWITCH") for line in replay.log]


class _Replay:
    """One run: the world, its clock, the loop and the log."""

    def __init__(self, scenario: Scenario, loop_factory: LoopFactory, switch: Path) -> None:
        self.log: list[str] = []
        self._scenario = scenario
        self._factory = loop_factory
        self._switch = switch
        self._plans: dict[str, str] = {}
        self._clock = SimClock(scenario.start)
        self._world = scenario.world(self._clock)
        self._settings = scenario.settings_for(self._world)
        self._loop = loop_factory(self._world, self._settings, self._clock)

    def to_the_end(self) -> None:
        """Let all of the scenario's time pass."""
        todo = sorted(self._scenario.commands, key=lambda one: one.at_s)
        while True:
            self._listen()
            now_s = self._clock.monotonic_s()
            turn_s = max(self._loop.next_due_s, now_s + _LEAST_TURN_S)
            next_s = min(turn_s, todo[0].at_s if todo else turn_s)
            if next_s >= self._scenario.duration_s:
                break
            self._clock.advance_to(next_s)
            self._listen()
            while todo and todo[0].at_s <= self._clock.monotonic_s():
                self._ask(todo.pop(0))
            if self._loop.next_due_s <= self._clock.monotonic_s():
                self._loop.step()
        self._clock.advance_to(self._scenario.duration_s)
        self._listen()
        self._loop.close()
        self._listen()
        self.log += [f"end   {line}" for line in summary(self._world)]

    def _ask(self, command: Timed) -> None:
        self._write(self._clock.monotonic_s(), "person", f"{command.verb} {command.argument}".strip())
        if command.verb == "crash":
            # Nothing of the old loop is told: it is dropped where it stands.
            self._loop = self._factory(self._world, self._settings, self._clock)
        elif command.verb == "kill_switch":
            self._switch.touch() if command.argument == "on" else self._switch.unlink(missing_ok=True)
        elif command.verb == "migrate":
            guest, _, target = command.argument.partition(" ")
            for source in self._world.location(guest):
                self._world.start_migration(guest, source, target)
        else:
            self._loop.command(command.verb, command.argument)

    def _listen(self) -> None:
        for event in self._world.take_events():
            self._write(event.at_s, "world", event.text)
        for line in self._loop.take_lines():
            self._write(self._clock.monotonic_s(), "loop", line)

    def _write(self, at_s: float, who: str, text: str) -> None:
        whole = int(at_s)
        text = _PLAN_ID.sub(lambda found: self._plans.setdefault(found[0], f"P{len(self._plans) + 1}"), text)
        self.log.append(f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d} {who:6} {text}")


def summary(world: World) -> list[str]:
    """Return how a world stands: each host's guests, what was done, and what must not have happened."""
    snapshot = world.snapshot()
    lines = []
    for host in snapshot.hosts:
        guests = sorted(guest.title for guest in snapshot.guests_by_host[host.id])
        lines.append(f"{host.id} is {host.power.state}, {len(guests)} guests: {' '.join(guests) or '-'}")
    lost = sorted(guest.facts.title for guest in world.guests.values() if guest.id not in snapshot.guest_by_id)
    if lost:
        lines.append(f"running nowhere: {' '.join(lost)}")
    tally = world.tally()
    lines.append(f"{tally.moves_done} migrations done, {tally.moves_failed} not, {tally.most_at_once} at once at most")
    if world.ledgers:
        lines += _accounts(world)
    lines += [f"violation: {one.text}" for one in world.violations()] or ["no violation"]
    return lines


def _accounts(world: World) -> list[str]:
    from simulator.following import accounts

    world.settle_accounts()
    return accounts(world)


@contextmanager
def _kill_switch(settings: Settings) -> Iterator[tuple[Path, Settings]]:
    """Give the run a kill switch of its own, in a directory that goes with it."""
    with TemporaryDirectory(prefix="trimtab-scenario-") as directory:
        switch = Path(directory) / "stop"
        yield switch, replace(settings, gate=replace(settings.gate, kill_switch=str(switch)))
