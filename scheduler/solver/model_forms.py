"""What each primitive form counts as broken, as an expression of a CP-SAT model, or as constraints while it holds.

Members that are not free count as so many in their cells. Constants are left to the caller, who knows the value at the
start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scheduler.solver.forms import Apart, ArrayForm, AtLeast, Ints, Masked, Together, Within
from scheduler.solver.linear import Linear

if TYPE_CHECKING:
    from scheduler.solver.model import Model

Cells = dict[int, Linear]


def broken_things(model: Model, form: ArrayForm, holds: bool) -> Linear:
    """Return what a form counts as broken, up to a constant; with `holds` it is kept at none instead."""
    free = model.free[form.members]
    fixed = form.kinds[~free] * form.cells + form.cell[model.host[form.members[~free]]]
    held = np.bincount(fixed, minlength=3 * form.cells).reshape(3, form.cells)
    where = {guest: _cells(model, form, guest) for guest in form.members[free].tolist()}
    if isinstance(form, Masked):
        return _outside(model, where, holds)
    if isinstance(form, Within):
        return _within(model, form, where, held, holds)
    cells: Cells = {}
    for of_guest in where.values():
        for cell, there in of_guest.items():
            cells.setdefault(cell, Linear(int(held[0, cell]))).join(there)
    if isinstance(form, Apart):
        return _apart(model, cells, holds)
    if isinstance(form, Together):
        return _together(model, where, cells, held[0], holds)
    if isinstance(form, AtLeast):
        return _at_least(model, form, cells, held[0], holds)
    raise TypeError(f"no model of {type(form).__name__}")


def _cells(model: Model, form: ArrayForm, guest: int) -> Cells:
    """For each cell a free guest may be in, the expression that is 1 when it is there."""
    # Many forms are over the same cells: racks, zones.
    key = (id(form.cell), guest)
    if key not in model.cells:
        cells: Cells = {}
        row = model.of_item[guest]
        hosts = np.fromiter(row, dtype=np.intp) // model.instance.modes
        for cell, variable in zip(form.cell[hosts].tolist(), row.values(), strict=True):
            cells.setdefault(cell, Linear()).add(variable)
        model.cells[key] = cells
    return model.cells[key]


def _outside(model: Model, where: dict[int, Cells], holds: bool) -> Linear:
    broken = Linear()
    for cells in where.values():
        if 0 in cells:
            broken.join(cells[0])
    if holds and broken.terms:
        model.program.keep(broken, most=0)
        return Linear()
    return broken


def _apart(model: Model, cells: Cells, holds: bool) -> Linear:
    program, broken = model.program, Linear()
    for _, held in sorted(cells.items()):
        many = program.most(held)
        if many < 2:
            continue
        if holds:
            program.keep(held, most=1)
            continue
        now = program.at_start(held)
        pairs = program.integer(0, many * (many - 1) // 2, now * (now - 1) // 2)
        for n in range(max(1, held.constant), many):
            # The tangents of n (n - 1) / 2 at whole numbers, which are exact there.
            program.keep(held.scaled(-n).join(Linear(0, {pairs: 1})), least=-(n * (n + 1) // 2))
        broken.add(pairs)
    return broken


def _together(model: Model, where: dict[int, Cells], cells: Cells, fixed: Ints, holds: bool) -> Linear:
    program, broken = model.program, Linear()
    if len(where) + int(fixed.sum()) < 2:
        return broken
    if holds:
        meeting = np.flatnonzero(fixed)
        first, *others = where.values()
        if len(meeting):
            first, others = {int(meeting[0]): Linear(1)}, list(where.values())
        for other in others:
            for cell in sorted(set(first) | set(other)):
                program.same(first.get(cell, Linear()), other.get(cell, Linear()))
        return broken
    for _, held in sorted(cells.items()):
        many = program.most(held)
        count = program.integer(0, many, program.at_start(held))
        program.same(held, Linear(0, {count: 1}))
        broken.add(program.look_up([n * (n - 1) // 2 for n in range(many + 1)], count), -1)
    return broken


def _at_least(model: Model, form: AtLeast, cells: Cells, fixed: Ints, holds: bool) -> Linear:
    program = model.program
    occupied = Linear(int((fixed > 0).sum()))
    for cell, held in sorted(cells.items()):
        if fixed[cell]:
            continue
        one = program.boolean(program.at_start(held) > 0)
        program.keep(held.scaled(-1).join(Linear(0, {one: 1})), most=0)
        occupied.add(one)
    if holds:
        program.keep(occupied, least=form.at_least)
        return Linear()
    missing = program.integer(0, form.at_least, max(0, form.at_least - program.at_start(occupied)))
    program.keep(occupied.scaled(1).join(Linear(0, {missing: 1})), least=form.at_least)
    return Linear(0, {missing: 1})


def _within(model: Model, form: Within, where: dict[int, Cells], held: Ints, holds: bool) -> Linear:
    program, broken = model.program, Linear()
    free = model.free[form.members]
    kinds = dict(zip(form.members[free].tolist(), form.kinds[free].tolist(), strict=True))
    fixed = (held[1] + held[2]).tolist()
    providers: Cells = {}
    for guest, cells in where.items():
        for cell, there in cells.items():
            if fixed[cell] < 2:
                of_cell = providers.setdefault(cell, Linear(fixed[cell]))
                if kinds[guest] != 0:
                    of_cell.join(there)

    def need(cell: int, there: Linear, more: int, cost: int) -> None:
        """Ask for a provider (one more than itself) where `there`, or count `cost` as broken."""
        if fixed[cell] >= more:
            return
        wanted = providers[cell].scaled(1).join(there, -more)
        if program.least(wanted) >= 0:
            return
        if not holds:
            alone = program.boolean(program.at_start(wanted) < 0)
            wanted.add(alone)
            broken.add(alone, cost)
        program.keep(wanted, least=0)

    for cell in sorted(providers):
        if held[0, cell]:
            need(cell, Linear(1), 1, int(held[0, cell]))
        if held[2, cell] == 1:
            need(cell, Linear(1), 2, 1)
    for guest, cells in where.items():
        if kinds[guest] == 1:
            continue
        for cell, there in sorted(cells.items()):
            need(cell, there, 2 if kinds[guest] == 2 else 1, 1)
    return broken
