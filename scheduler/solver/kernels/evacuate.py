"""Emptying hosts: every guest of a host goes to its best seat elsewhere, or all stay."""

from __future__ import annotations

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, entry
from scheduler.solver.kernels.mend import is_better, repair_change
from scheduler.solver.kernels.moves import fits, forms_allow, may_go, may_stay, repair_of, shift_cost
from scheduler.solver.kernels.state import GOAL, LEFT, MIB, State, put, take_back
from scheduler.solver.kernels.tables import Tables

NEVER = 1 << 62


@compiled
def cheapest_seat(tables: Tables, state: State, g: int, barred: int) -> int:
    """Return the seat on a host in use, not `barred`, that costs a guest least, fuller hosts first; -1 for none."""
    modes = tables.demand.shape[1]
    best, best_repair, best_cost, best_full = -1, NEVER, NEVER, 0.0
    for h in range(tables.cap.shape[0]):
        if h == barred or state.count[h] == 0 or tables.left[h]:
            continue
        for mode in range(modes):
            seat = h * modes + mode
            if seat == state.place[g] or not may_go(tables, g, seat) or not fits(tables, state, g, seat):
                continue
            if not forms_allow(tables, state, g, h):
                continue
            repair = repair_change(tables, state, g, seat)
            if repair > best_repair:
                continue
            cost = shift_cost(tables, state, g, seat)
            full = fullness(tables, state, h)
            if repair == best_repair and (cost > best_cost or (cost == best_cost and full <= best_full)):
                continue
            best, best_repair, best_cost, best_full = seat, repair, cost, full
    return best


@compiled
def fullness(tables: Tables, state: State, h: int) -> float:
    """Return the fullest share of a host's room, over the resources that bind."""
    most = 0.0
    for i in range(tables.columns.shape[0]):
        r = tables.columns[i]
        if tables.headroom[h, r] > 0:
            most = max(most, state.use[h, r] / tables.headroom[h, r])
    return most


@compiled
def largest_left(tables: Tables, state: State, h: int) -> int:
    """Return the guest of a host that takes the greatest share of the host's room, -1 when there is none."""
    modes = tables.demand.shape[1]
    best, size = -1, -1.0
    g = state.head[h]
    while g >= 0:
        share = 0.0
        for i in range(tables.columns.shape[0]):
            r = tables.columns[i]
            if tables.headroom[h, r] > 0:
                share += tables.demand[g, state.place[g] % modes, r] / tables.headroom[h, r]
        if share > size or (share == size and g < best):
            best, size = g, share
        g = state.after[g]
    return best


@entry
def empty_hosts(tables: Tables, state: State, hosts: Ints) -> int:
    """Try to empty each of `hosts` int64[n], taking back what is no better by the totals; return how many are empty."""
    done = 0
    for i in range(hosts.shape[0]):
        state.trail_length[0] = 0
        if state.count[hosts[i]] == 0 or state.count[hosts[i]] > state.trail.shape[0]:
            continue
        repair, left = repair_of(state.totals), state.totals[LEFT]
        goal, mib = state.totals[GOAL], state.totals[MIB]
        if (
            empty_host(tables, state, hosts[i])
            and may_stay(tables, state, 0)
            and is_better(state, repair, left, goal, mib)
        ):
            done += 1
        else:
            take_back(tables, state, 0)
    return done


@compiled
def empty_host(tables: Tables, state: State, h: int) -> bool:
    """Move every guest off a host, the largest first; tell whether all could go."""
    while state.count[h] > 0:
        g = largest_left(tables, state, h)
        if tables.mask_of[g] < 0:
            return False
        seat = cheapest_seat(tables, state, g, h)
        if seat < 0:
            return False
        put(tables, state, g, seat)
    return True
