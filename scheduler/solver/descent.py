"""Steepest descent from a placement over shifts, swaps when stuck, and under a cap on moves "undo one, do another".

Tiers in order: broken rules and overload first, then guests on drained hosts, then the goal. Each phase keeps what the
one before it reached. Repeatable: ties go to the lowest host, then the lowest guest.
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.board import Board
from scheduler.solver.evaluate import evaluate
from scheduler.solver.forms import Bools, Index, Ints, Together
from scheduler.solver.instance import Instance
from scheduler.solver.meter import Meter

NEVER = np.int64(1) << 62
MOST_SWAP_PAIRS = 200_000
TRIED_SWAPS = 40
TRIED_UNDOS = 12
TRIED_TARGETS = 8


def descend(instance: Instance, place: Index, meter: Meter, *, swaps: bool = True) -> Index:
    """Return a placement that is never worse than `place`, better where shifts and swaps find something.

    Without `swaps` it is quicker, and worth more where there is much to do for the time.
    """
    if not len(instance.movable):
        return place
    board = Board(instance, place)
    before = evaluate(instance, place)
    if before.broken or before.overload:
        _mend(board, meter)
    board.tighten()
    if instance.goal.drained.any():
        _empty(board, meter)
    if instance.goal.tier == "balance":
        _improve(board, meter, swaps)
    after = board.place
    return after if evaluate(instance, after) < before else place


def _mend(board: Board, meter: Meter) -> None:
    """Mend by single shifts, then by moving whole groups that are apart where no single shift helps."""
    _mend_by_shifts(board, meter)
    for form in board.instance.binding:
        if meter.over():
            return
        if not isinstance(form, Together) or not form.broken(board.place):
            continue
        meter.work()
        place, before = board.place.copy(), evaluate(board.instance, board.place)
        columns = board.position[form.members]
        _move_group(board, columns)
        if evaluate(board.instance, board.place) >= before:
            for column in columns[columns >= 0]:
                board.shift(int(column), int(place[board.instance.movable[column]]))
    _mend_by_shifts(board, meter)


def _mend_by_shifts(board: Board, meter: Meter) -> None:
    """Shift what lessens broken rules or overload most; of equal ones the best for the goal, then the smallest."""
    mib = board.instance.mib[board.instance.movable]
    while not meter.over():
        meter.work()
        gain = np.where(board.open(), board.repair(), NEVER)
        best = gain.min()
        if best >= 0:
            return
        ties = np.argwhere(gain == best)
        goal = board.goal()[ties[:, 0], ties[:, 1]]
        host, column = ties[np.lexsort((ties[:, 1], ties[:, 0], mib[ties[:, 1]], goal))[0]]
        board.shift(int(column), int(host))


def _empty(board: Board, meter: Meter) -> None:
    """Take guests off drained hosts, each to where it serves the goal best; affinity groups as one."""
    drained = board.instance.goal.drained
    movable = board.instance.movable
    board.allowed[drained[:, None] & ~drained[board.place[movable]][None, :]] = False
    while not meter.over():
        meter.work()
        leaving = drained[board.place[movable]]
        gain = np.where(board.open() & leaving[None, :] & ~drained[:, None], board.goal(), NEVER)
        if gain.min() >= NEVER:
            break
        host, column = np.unravel_index(int(gain.argmin()), gain.shape)
        board.shift(int(column), int(host))
        board.allowed[drained, column] = False
    for form in board.instance.binding:
        if isinstance(form, Together) and drained[board.place[form.members]].any():
            _move_group(board, board.position[form.members])
    board.tighten()


def _move_group(board: Board, columns: Index) -> None:
    """Move a whole group to the host where it serves the goal best, or leave it."""
    if not len(columns) or (columns < 0).any():
        return
    instance = board.instance
    drained = instance.goal.drained
    start = board.place[instance.movable[columns]].copy()
    demand = board.demand[columns].sum(axis=0)
    fits = instance.target & board.allowed[:, columns].all(axis=1)
    fits &= (board.use + demand <= np.minimum(board.cap, instance.headroom)).all(axis=1) & ~drained
    hosts = np.flatnonzero(fits)
    if not len(hosts):
        return
    use = board.use[hosts]
    change = instance.goal.cost.at(hosts, use + demand) - instance.goal.cost.at(hosts, use)
    for host in hosts[np.argsort(change, kind="stable")][:TRIED_TARGETS]:
        for column in columns:
            board.shift(int(column), int(host))
        if board.rules_hold() and _caps_hold(board):
            if drained.any():
                board.allowed[np.ix_(np.flatnonzero(drained), columns)] = False
            return
        for column, back in zip(columns, start, strict=True):
            board.shift(int(column), int(back))


def _improve(board: Board, meter: Meter, swaps: bool) -> None:
    while not meter.over():
        meter.work()
        if _best_shift(board) or _undo_one_do_another(board, meter):
            continue
        if not (swaps and _best_swap(board, meter)):
            return


def _goal_gain(board: Board) -> Ints:
    return np.where(board.open(), board.goal(), NEVER)


def _best_shift(board: Board) -> bool:
    gain = _goal_gain(board)
    best = int(gain.argmin())
    if gain.flat[best] >= 0:
        return False
    host, column = np.unravel_index(best, gain.shape)
    board.shift(int(column), int(host))
    return True


def _undo_one_do_another(board: Board, meter: Meter) -> bool:
    """Under a reached cap: take one guest home, which refunds a move, and make a better one instead."""
    moved = board.moved
    if int(moved.sum()) < board.instance.max_moves or not board.instance.max_moves:
        return False
    columns = np.flatnonzero(moved)
    homes = board.home[columns]
    back = board.goal()[homes, columns]
    back = np.where(board.open()[homes, columns], back, NEVER)
    for i in np.argsort(back, kind="stable")[:TRIED_UNDOS]:
        if back[i] >= NEVER or meter.over():
            return False
        meter.work()
        column, home = int(columns[i]), int(homes[i])
        away = int(board.place[board.instance.movable[column]])
        board.shift(column, home)
        gain = _goal_gain(board)
        best = int(gain.argmin())
        if back[i] + gain.flat[best] < 0:
            host, other = np.unravel_index(best, gain.shape)
            board.shift(int(other), int(host))
            return True
        board.shift(column, away)
    return False


def _best_swap(board: Board, meter: Meter) -> bool:
    """Exchange two guests of different hosts when that improves the goal; the hosts furthest off come first."""
    instance = board.instance
    place = board.place[instance.movable]
    hosts = np.arange(len(board.use))
    cost = instance.goal.cost.at(hosts, board.use)
    free = ~board.capped()
    many = max(1, MOST_SWAP_PAIRS // max(1, len(place)))
    worst = np.lexsort((hosts, -cost))
    rank = np.empty(len(hosts), dtype=np.intp)
    rank[worst] = hosts
    order = np.flatnonzero(free)
    firsts = order[np.argsort(rank[place[order]], kind="stable")][:many]
    if not len(firsts):
        return False
    gain = _swap_gains(board, firsts, place, cost, free)
    before = evaluate(instance, board.place)
    changed: set[int] = set()
    for i, second in _smallest(gain, TRIED_SWAPS):
        if meter.over():
            break
        first = int(firsts[i])
        a, b = int(place[first]), int(place[second])
        if a in changed or b in changed:
            continue
        meter.work()
        board.shift(first, b)
        board.shift(second, a)
        keeps = board.rules_hold() and bool((board.use[[a, b]] <= board.cap[[a, b]]).all())
        value = evaluate(instance, board.place) if keeps and _caps_hold(board) else before
        if value < before:
            before = value
            changed |= {a, b}
            continue
        board.shift(first, a)
        board.shift(second, b)
    return bool(changed)


def _smallest(gain: Ints, most: int) -> list[tuple[int, int]]:
    """Row and column of the `most` smallest negative entries, smallest first."""
    negative = np.flatnonzero(gain.ravel() < 0)
    values = gain.ravel()[negative]
    if len(values) > most:
        kept = values <= np.partition(values, most - 1)[most - 1]
        negative, values = negative[kept], values[kept]
    order = np.argsort(values, kind="stable")[:most]
    return [(int(one) // gain.shape[1], int(one) % gain.shape[1]) for one in negative[order]]


def _caps_hold(board: Board) -> bool:
    moved = np.zeros(len(board.place), dtype=np.bool_)
    moved[board.instance.movable] = board.moved
    if int(moved.sum()) > board.instance.max_moves:
        return False
    return all(int(moved[cap.members].sum()) <= cap.at_most for cap in board.instance.move_caps)


def _swap_gains(board: Board, firsts: Index, place: Index, cost: Ints, free: Bools) -> Ints:
    """Change of the goal for exchanging each of `firsts` with each movable guest, int64[firsts, movable]."""
    instance = board.instance
    a, b = place[firsts], place
    shape = (len(firsts), len(place))
    into_a = board.demand[None, :, :] - board.demand[firsts][:, None, :]
    use_a = board.use[a][:, None, :] + into_a
    use_b = board.use[b][None, :, :] - into_a
    fits = (use_a <= board.cap[a][:, None, :]).all(axis=2) & (use_b <= board.cap[b][None, :, :]).all(axis=2)
    fits &= board.allowed[b][:, firsts].T & board.allowed[a] & free[None, :] & (a[:, None] != b[None, :])
    resources = use_a.shape[2]
    hosts_a, hosts_b = np.repeat(a, shape[1]), np.tile(b, shape[0])
    after = instance.goal.cost.at(hosts_a, use_a.reshape(-1, resources)).reshape(shape)
    after = after + instance.goal.cost.at(hosts_b, use_b.reshape(-1, resources)).reshape(shape)
    gain = after - cost[a][:, None] - cost[b][None, :]
    price = instance.goal.price[instance.movable]
    home = board.home
    now = price * (place != home)
    gain = gain + np.where(b[None, :] != home[firsts][:, None], price[firsts][:, None], 0) - now[firsts][:, None]
    gain = gain + np.where(a[:, None] != home[None, :], price[None, :], 0) - now[None, :]
    breaks = board.breaks()
    harmless = breaks[b][:, firsts].T + breaks[a] <= 0
    return np.where(fits & harmless, gain, NEVER)
