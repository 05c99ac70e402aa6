"""An order of moves in which every move can be carried out once those before it are done.

Moves that wait on each other in a circle are broken up by parking one guest on a third host. What still cannot be
ordered is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        self._open_groups: set[str] = set()
        self._groups_of: dict[str, list[str]] = {}
        for form in problem.forms:
            if isinstance(form, TogetherInCell | WithinCellsOf):
                for guest in form.guests + (form.to if isinstance(form, WithinCellsOf) else ()):
                    self._groups_of.setdefault(guest, []).append(form.rule)

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
        for move in sorted(self.pending.values(), key=self._urgency):
            if self._feasible(move):
                return move
        return None

    def _urgency(self, move: Move) -> tuple[bool, float, str]:
        """Finish a group that has begun to move before another; then relieve the fullest source first."""
        begun = any(group in self._open_groups for group in self._groups_of.get(move.guest, ()))
        return (not begun, -self._fullness(move.source), move.guest)

    def _fullness(self, host: str) -> float:
        used, most = self._use.used[host], self._use.most[host]
        return max((used[r] / most[r] for r in (Resource.CPU, Resource.MEMORY) if most[r]), default=0.0)

    def _carry_out(self, move: Move) -> None:
        self._moves.append(move)
        self._use.apply(move)
        self._rules.apply(move)
        if move.parking:
            self._parked.add(move.guest)
            self.pending[move.guest] = Move(move.guest, move.target, self.pending[move.guest].target)
        else:
            del self.pending[move.guest]
        pending_groups = {group for guest in self.pending for group in self._groups_of.get(guest, ())}
        self._open_groups = (self._open_groups | set(self._groups_of.get(move.guest, ()))) & pending_groups

    def _next_parking(self) -> Move | None:
        """Find a guest to park, the smallest first, so that some other waiting move can go.

        Where none alone makes room enough, one is parked that makes a part of it.
        """
        most = self._problem.max_moves
        if most is not None and len(self._moves) + len(self.pending) + 1 > most:
            return None
        memory = {guest.id: guest.memory_demand_mib for guest in self._problem.snapshot.guests}
        part: Move | None = None
        for guest in sorted(self.pending, key=lambda guest: (memory[guest], guest)):
            if guest in self._parked or not self._may_move_once_more(guest):
                continue
            move = self.pending[guest]
            for host in sorted(self._problem.allowed[guest] & set(self._problem.targets)):
                parking = Move(guest, move.source, host, parking=True)
                if host in (move.source, move.target) or not self._feasible(parking):
                    continue
                if (freed := self._frees(parking)) is not None:
                    return replace(parking, makes_room_for=freed)
                part = part or self._makes_part_of_the_room(parking)
        return part

    def _makes_part_of_the_room(self, parking: Move) -> Move | None:
        """Return the parking when another guest waits to come to the host that it leaves."""
        for guest, move in sorted(self.pending.items()):
            if guest != parking.guest and move.target == parking.source:
                return replace(parking, makes_room_for=guest)
        return None

    def _may_move_once_more(self, guest: str) -> bool:
        """Parking counts against group move limits, too."""
        for form in self._problem.forms:
            if isinstance(form, MoveLimit) and guest in form.guests:
                planned = sum(move.guest in form.guests for move in self._moves)
                planned += sum(waiting in form.guests for waiting in self.pending)
                if planned + 1 > form.at_most:
                    return False
        return True

    def _frees(self, parking: Move) -> str | None:
        """Return a waiting guest that could go once `parking` is done."""
        self._use.apply(parking)
        self._rules.apply(parking)
        freed = None
        for guest, move in sorted(self.pending.items()):
            if guest != parking.guest and self._feasible(move):
                freed = guest
                break
        back = Move(parking.guest, parking.target, parking.source)
        self._use.apply(back)
        self._rules.apply(back)
        return freed


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
