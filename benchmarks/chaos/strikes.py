"""Strikes: what befalls a scheduler at one of its calls to the store or to a host. Drawn by seed, before a run.

A scheduler can be killed (and comes up again later), can stand still while all others go on, its own clock standing
still with it or not, and the store's answer can get lost, before or after the call took effect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

from cluster.errors import StoreUnavailableError
from cluster.plan import Migrate, Sleep, Wake
from executors.protocol import MayBegin, Progress, Sighting, always
from simulator.executor import SimMigrationExecutor, SimPowerExecutor
from simulator.world import World

WRITES = ("open_plan", "set_plan_state", "write_step", "note_step")


class Place(StrEnum):
    """Where a strike falls; each place counts its own calls, of all schedulers together."""

    WRITE = "write"  # a journal write, progress included
    STORE = "store"  # any call to the store
    HANDS = "hands"  # any call to a migration executor
    WINDOW = "window"  # after a step's permit, before its host is asked


class Deed(StrEnum):
    """What it does."""

    KILL_BEFORE = "kill_before"
    KILL_AFTER = "kill_after"
    LOST_BEFORE = "lost_before"  # the store does not answer, and has done nothing
    LOST_AFTER = "lost_after"  # the store has done it, and its answer is lost
    STALL = "stall"  # stands still before the call
    STALL_AFTER = "stall_after"  # stands still before it hears the answer


@dataclass(frozen=True, slots=True)
class Strike:
    """One strike, at the `number`-th call of its place. `frozen`: its own clock stands still with it."""

    place: Place
    number: int
    deed: Deed
    for_s: float = 0.0
    frozen: bool = False


class Killed(BaseException):
    """The process is gone: nothing handles it."""


_SPAN = {Place.WRITE: 24, Place.STORE: 900, Place.HANDS: 90, Place.WINDOW: 4}
_DEEDS: dict[Place, tuple[Deed, ...]] = {
    Place.WRITE: tuple(Deed),
    Place.STORE: (Deed.LOST_BEFORE, Deed.LOST_AFTER, Deed.STALL, Deed.STALL_AFTER, Deed.KILL_BEFORE),
    Place.HANDS: (Deed.KILL_BEFORE, Deed.KILL_AFTER, Deed.STALL, Deed.STALL_AFTER),
    Place.WINDOW: (Deed.KILL_BEFORE, Deed.STALL),
}


def draw_strikes(random: Random, most: int) -> list[Strike]:
    """Return up to so many strikes."""
    found = []
    for _ in range(random.randint(0, most)):
        place = random.choice((Place.WRITE, Place.WRITE, Place.STORE, Place.HANDS, Place.WINDOW))
        deed = random.choice(_DEEDS[place])
        for_s = random.choice((0.5, 3.0, 8.0, 20.0, 45.0)) if deed in (Deed.STALL, Deed.STALL_AFTER) else 0.0
        found.append(Strike(place, random.randint(1, _SPAN[place]), deed, for_s, random.random() < 0.5))
    return found


@dataclass
class Counted:
    """The strikes of a run that are still to fall, and the calls so far."""

    strikes: list[Strike]
    calls: Counter[Place] = field(default_factory=Counter)
    fallen: list[str] = field(default_factory=list)

    def due(self, place: Place) -> list[Strike]:
        """Count a call and take the strikes that fall on it."""
        self.calls[place] += 1
        due = [one for one in self.strikes if (one.place, one.number) == (place, self.calls[place])]
        for one in due:
            self.strikes.remove(one)
        return due


Stall = Callable[[float, bool], None]
"""Lets a scheduler stand still for so many seconds, its own clock with it or not. Raises `Killed` when it dies so."""


class Fate:
    """What falls on one scheduler's calls.

    `held_up`: it has stood still since the store's last word, with no other call between: no token guards what it does
    next, if it does anything.
    """

    def __init__(self, counted: Counted, stall: Stall, cut_off: Callable[[], bool]) -> None:
        self._counted = counted
        self._stall = stall
        self._cut_off = cut_off
        self.held_up = False

    def call(self, places: tuple[Place, ...], name: str, made: Callable[[], Any]) -> Any:
        """Make a call, and let fall on it what is due."""
        self.held_up = self.held_up and Place.WINDOW in places
        due = [one for place in places for one in self._counted.due(place)]
        for one in due:
            self._counted.fallen.append(f"{one.deed} at {name} ({one.place} {one.number}, {one.for_s:g} s)")
            if one.deed is Deed.KILL_BEFORE:
                raise Killed
            if one.deed is Deed.STALL:
                self._stall(one.for_s, one.frozen)
                self.held_up = self.held_up or one.place is Place.WINDOW
        of_store = Place.STORE in places
        if of_store and (self._cut_off() or any(one.deed is Deed.LOST_BEFORE for one in due)):
            raise StoreUnavailableError("store: no answer")
        found = made()
        for one in due:
            if one.deed is Deed.KILL_AFTER:
                raise Killed
            if one.deed is Deed.STALL_AFTER:
                self._stall(one.for_s, one.frozen)
                self.held_up = self.held_up or name == "write_step"
            if one.deed is Deed.LOST_AFTER:
                raise StoreUnavailableError("store: the answer is lost")
        if of_store and self._cut_off():
            raise StoreUnavailableError("store: cut off before it answered")
        return found


class StruckStore:
    """One scheduler's line to the store."""

    def __init__(self, store: object, fate: Fate) -> None:
        self._store = store
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        places = (Place.STORE, Place.WRITE) if name in WRITES else (Place.STORE,)
        return lambda *given, **named: self._fate.call(places, name, lambda: method(*given, **named))


class StruckHands(SimMigrationExecutor):
    """One scheduler's hands. `begins` is told of a start that has its permit, right before the host is asked."""

    def __init__(self, world: World, fate: Fate, begins: Callable[[Migrate], None]) -> None:
        super().__init__(world)
        self._fate = fate
        self._begins = begins

    def look(self, step: Migrate) -> Sighting:
        found: Sighting = self._fate.call((Place.HANDS,), "look", lambda: super(StruckHands, self).look(step))
        return found

    def poll(self, step: Migrate) -> Progress:
        found: Progress = self._fate.call((Place.HANDS,), "poll", lambda: super(StruckHands, self).poll(step))
        return found

    def abort(self, step: Migrate) -> None:
        self._fate.call((Place.HANDS,), "abort", lambda: super(StruckHands, self).abort(step))

    def start(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin = always) -> None:
        def asked() -> bool:
            if not may_begin():
                return False
            self._fate.call((Place.WINDOW,), "the last window", lambda: None)
            self._begins(step)
            return True

        self._fate.call((Place.HANDS,), "start", lambda: super(StruckHands, self).start(step, limit_mib_s, asked))


class StruckPower(SimPowerExecutor):
    """One scheduler's power control. `begins` is told of a step right before its host is asked."""

    def __init__(self, world: World, fate: Fate, begins: Callable[[Sleep | Wake], None]) -> None:
        super().__init__(world)
        self._fate = fate
        self._begins = begins

    def start(self, step: Sleep | Wake, may_begin: MayBegin = always) -> None:
        self._fate.call((Place.WINDOW,), "the last window", lambda: None)
        self._begins(step)
        super().start(step, may_begin)
