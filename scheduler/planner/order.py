"""An order of moves in which every move can be carried out once those before it are done.

Moves that wait on each other in a circle are broken up by parking one guest on a third host. What still cannot be
ordered is left out, with the reason.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cluster.limits import Resource
from cluster.problem import MoveLimit, Problem, TogetherInCell, WithinCellsOf
from scheduler.planner.state import HostUse, Move, RuleCounts, count_broken

Better = Callable[[Mapping[str, str]], bool]
"""Tells whether a placement is better than the present one."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """Moves in a safe sequence, and guests that were left where they are, with a sentence each."""

    moves: tuple[Move, ...]
    dropped: Mapping[str, str]


def order_moves(problem: Problem, placement: Mapping[str, str], better: Better) -> Ordering:
    """Order the moves from the snapshot's placement to `placement`.

    When some have to be dropped, the longest sequence is kept that leaves no affinity worse and is `better` than
    nothing. Deterministic: ties go by guest id.
    """
    wanted = {
        guest.id: Move(guest.id, guest.host, placement[guest.id])
        for guest in sorted(problem.snapshot.guests, key=lambda guest: guest.id)
        if placement[guest.id] != guest.host
    }
    search = _Search(problem, wanted)
    moves = search.run()
    dropped = dict.fromkeys(search.pending, "its target has no room until others move, and no host has room to park it")
    if dropped:
        kept = _longest_good_prefix(problem, moves, better)
        for move in moves[len(kept) :]:
            dropped[move.guest] = "it only makes sense together with a move that cannot be ordered"
        moves = kept
    return Ordering(tuple(moves), dropped)


class _Search:
    """Greedy: carry out what fits, most pressing first; park when nothing fits."""

    def __init__(self, problem: Problem, wanted: Mapping[str, Move]) -> None:
        self.pending = dict(wanted)
        self._problem = problem
        self._use = HostUse(problem)
        self._rules = RuleCounts(problem)
        self._moves: list[Move] = []
        self._parked: set[str] = set()
        self._groups = _Groups(problem, wanted)
        self._queue = _Queue(self._fullness)
        self._queue.add(self.pending.values())
        self._limits = [form for form in problem.forms if isinstance(form, MoveLimit)]
        self._targets: dict[int, list[str]] = {}

    def run(self) -> list[Move]:
        while self.pending:
            move = self._next_feasible() or self._next_parking()
            if move is None:
                break
            self._carry_out(move)
        return self._moves

    def _feasible(self, move: Move) -> bool:
        return self._use.fits(move.guest, move.target) and self._rules.allows(move.guest, move.target)

    def _next_feasible(self) -> Move | None:
        """Finish a group that has begun to move before another; then relieve the fullest source first."""
        begun = [self.pending[guest] for guest in self._groups.begun()]
        for move in sorted(begun, key=lambda move: (-self._fullness(move.source), move.guest)):
            if self._feasible(move):
                return move
        while (first := self._queue.first()) is not None:
            if self._feasible(first):
                return first
            self._queue.block(first)
        return None

    def _fullness(self, host: str) -> float:
        used, most = self._use.used[host], self._use.most[host]
        return max((used[r] / most[r] for r in (Resource.CPU, Resource.MEMORY) if most[r]), default=0.0)

    def _carry_out(self, move: Move) -> None:
        self._moves.append(move)
        self._use.apply(move)
        self._rules.apply(move)
        self._queue.remove(self.pending[move.guest])
        if move.parking:
            self._parked.add(move.guest)
            self.pending[move.guest] = Move(move.guest, move.target, self.pending[move.guest].target)
            self._queue.add([self.pending[move.guest]])
        else:
            del self.pending[move.guest]
        self._groups.moved(move)
        self._queue.changed(move, self._rules.tied_to(move.guest))

    def _next_parking(self) -> Move | None:
        """Find a guest to park, the smallest first, so that some other waiting move can go.

        Where none alone makes room enough, one is parked that makes a part of it. Nothing waiting can go now, so only
        what waits for the host that is left, or is tied by a rule to the guest that leaves it, can go then.
        """
        most = self._problem.max_moves
        if most is not None and len(self._moves) + len(self.pending) + 1 > most:
            return None
        guests = self._problem.snapshot.guest_by_id
        coming: dict[str, list[str]] = {}
        for guest, move in self.pending.items():
            coming.setdefault(move.target, []).append(guest)
        part: Move | None = None
        for guest in sorted(self.pending, key=lambda guest: (guests[guest].memory_demand_mib, guest)):
            move, tied = self.pending[guest], self._rules.tied_to(guest)
            waiting = sorted({*coming.get(move.source, ()), *(one for one in tied if one in self.pending)} - {guest})
            if not waiting or guest in self._parked or not self._may_move_once_more(guest):
                continue
            for host in self._hosts_for(guest):
                parking = Move(guest, move.source, host, parking=True)
                if host in (move.source, move.target) or not self._feasible(parking):
                    continue
                if (freed := self._frees(parking, waiting)) is not None:
                    return replace(parking, makes_room_for=freed)
                part = part or self._makes_part_of_the_room(parking, waiting)
                if not tied:
                    # Which host the guest is parked on makes no difference to those that wait for where it was.
                    break
        return part

    def _hosts_for(self, guest: str) -> list[str]:
        """Return the targets that a guest can run on, sorted; worked out once for all guests that share them."""
        allowed = self._problem.allowed[guest]
        if id(allowed) not in self._targets:
            self._targets[id(allowed)] = sorted(allowed & set(self._problem.targets))
        return self._targets[id(allowed)]

    def _makes_part_of_the_room(self, parking: Move, waiting: Sequence[str]) -> Move | None:
        """Return the parking when another guest waits to come to the host that it leaves."""
        for guest in waiting:
            if self.pending[guest].target == parking.source:
                return replace(parking, makes_room_for=guest)
        return None

    def _may_move_once_more(self, guest: str) -> bool:
        """Parking counts against group move limits, too."""
        for form in self._limits:
            if guest in form.guests:
                planned = sum(move.guest in form.guests for move in self._moves)
                planned += sum(waiting in form.guests for waiting in self.pending)
                if planned + 1 > form.at_most:
                    return False
        return True

    def _frees(self, parking: Move, waiting: Sequence[str]) -> str | None:
        """Return the first of the waiting guests that could go once `parking` is done."""
        self._use.apply(parking)
        self._rules.apply(parking)
        freed = next((guest for guest in waiting if self._feasible(self.pending[guest])), None)
        back = Move(parking.guest, parking.target, parking.source)
        self._use.apply(back)
        self._rules.apply(back)
        return freed


class _Groups:
    """Which groups with affinity or near have begun to move, and who of them waits."""

    def __init__(self, problem: Problem, wanted: Mapping[str, Move]) -> None:
        self._of: dict[str, list[str]] = {}
        self._waiting: dict[str, set[str]] = {}
        self._open: set[str] = set()
        for form in problem.forms:
            if isinstance(form, TogetherInCell | WithinCellsOf):
                for guest in form.guests + (form.to if isinstance(form, WithinCellsOf) else ()):
                    self._of.setdefault(guest, []).append(form.rule)
                    if guest in wanted:
                        self._waiting.setdefault(form.rule, set()).add(guest)

    def begun(self) -> set[str]:
        """Return the guests that wait in groups which have begun to move."""
        return {guest for group in self._open for guest in self._waiting[group]}

    def moved(self, move: Move) -> None:
        """Note a move."""
        for group in self._of.get(move.guest, ()):
            if not move.parking:
                self._waiting[group].discard(move.guest)
            self._open.add(group)
            if not self._waiting[group]:
                self._open.discard(group)


class _Queue:
    """Waiting moves by fullness of their source, then guest; those that cannot go now wait until something changes.

    A move that has no room can only go once something leaves its target; one that a rule forbids, once a guest that
    the rule ties to it has moved.
    """

    def __init__(self, fullness: Callable[[str], float]) -> None:
        self._fullness = fullness
        self._waiting: dict[str, Move] = {}
        self._blocked: set[str] = set()
        self._for_room: dict[str, set[str]] = {}
        self._leaving: dict[str, list[str]] = {}
        # Of every source the entry with its latest stamp counts.
        self._sources: list[tuple[float, str, str, int]] = []
        self._stamps: dict[str, int] = {}

    def add(self, moves: Iterable[Move]) -> None:
        """Let moves wait."""
        sources = set()
        for move in moves:
            self._waiting[move.guest] = move
            heapq.heappush(self._leaving.setdefault(move.source, []), move.guest)
            sources.add(move.source)
        for source in sorted(sources):
            self._look_again(source)

    def first(self) -> Move | None:
        """Return the most pressing move that is not known to be blocked."""
        while self._sources:
            _, guest, source, stamp = self._sources[0]
            if stamp == self._stamps[source]:
                return self._waiting[guest]
            heapq.heappop(self._sources)
        return None

    def block(self, move: Move) -> None:
        """Set the first move aside: it cannot go now."""
        heapq.heappop(self._sources)
        heapq.heappop(self._leaving[move.source])
        self._blocked.add(move.guest)
        self._for_room.setdefault(move.target, set()).add(move.guest)
        self._look_again(move.source)

    def remove(self, move: Move) -> None:
        """Take a move out."""
        del self._waiting[move.guest]
        self._blocked.discard(move.guest)
        self._for_room.get(move.target, set()).discard(move.guest)

    def changed(self, move: Move, tied: Iterable[str]) -> None:
        """Take note of a move that was carried out, and of the guests that rules tie to its guest."""
        free = self._blocked & self._for_room.get(move.source, set()).union(tied)
        for guest in sorted(free):
            self._blocked.discard(guest)
            self._for_room[self._waiting[guest].target].discard(guest)
            heapq.heappush(self._leaving.setdefault(self._waiting[guest].source, []), guest)
        for source in sorted({move.source, move.target, *(self._waiting[guest].source for guest in free)}):
            self._look_again(source)

    def _look_again(self, source: str) -> None:
        leaving = self._leaving.get(source, [])
        while leaving and not self._leaves(leaving[0], source):
            heapq.heappop(leaving)
        self._stamps[source] = self._stamps.get(source, 0) + 1
        if leaving:
            heapq.heappush(self._sources, (-self._fullness(source), leaving[0], source, self._stamps[source]))

    def _leaves(self, guest: str, source: str) -> bool:
        move = self._waiting.get(guest)
        return move is not None and move.source == source and guest not in self._blocked


def _longest_good_prefix(problem: Problem, moves: Sequence[Move], better: Better) -> list[Move]:
    """Return the longest prefix that parks nobody for good, leaves no group worse and is better than nothing."""
    start = {guest.id: guest.host for guest in problem.snapshot.guests}
    groups = [form for form in problem.forms if isinstance(form, TogetherInCell | WithinCellsOf)]
    broken_at_start = [count_broken(form, start, None) for form in groups]
    for length in range(len(moves), 0, -1):
        prefix = moves[:length]
        placement = dict(start)
        for move in prefix:
            placement[move.guest] = move.target
        left_parked = {move.guest for move in prefix if move.parking} - {
            move.guest for move in prefix if not move.parking
        }
        if left_parked or not better(placement):
            continue
        if all(
            count_broken(form, placement, None) <= before for form, before in zip(groups, broken_at_start, strict=True)
        ):
            return list(prefix)
    return []
