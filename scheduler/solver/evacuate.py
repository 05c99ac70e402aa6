"""Empty hosts one after the other for consolidation: the least memory to move first, each guest to the fullest host.

A host is emptied only as a whole; guests held together by a rule go as one. Kept when the exact value got better.
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.forms import ArrayForm, Bools, Index, Together
from scheduler.solver.goal import SleepArrays
from scheduler.solver.instance import CPU, MEMORY, Instance
from scheduler.solver.meter import Meter


def evacuate(instance: Instance, place: Index, meter: Meter) -> Index:
    """Return a placement that leaves more hosts empty and draws less, or the same one."""
    sleep = instance.goal.sleep
    if sleep is None:
        return place
    work = _Evacuation(instance, place)
    tried_in_vain: set[int] = set()
    while not meter.over():
        host = work.next_host(sleep, tried_in_vain)
        if host is None:
            break
        meter.work()
        if not work.empty(host):
            tried_in_vain.add(host)
    return work.place


class _Evacuation:
    def __init__(self, instance: Instance, place: Index) -> None:
        self.instance = instance
        self.place = place.copy()
        self.value = evaluate(instance, place)
        self.position = np.full(len(place), -1, dtype=np.intp)
        self.position[instance.movable] = np.arange(len(instance.movable))
        self.forms: dict[int, list[ArrayForm]] = {}
        self.caps = {id(form): form.broken(place) for form in instance.binding}
        for form in instance.binding:
            for guest in form.members.tolist():
                self.forms.setdefault(guest, []).append(form)

    def next_host(self, sleep: SleepArrays, tried: set[int]) -> int | None:
        """The host with the least memory to move off it that may sleep, is not empty and can be spared."""
        on = ~sleep.derive(self.place)
        spare = sleep.offer[on].sum(axis=0) - sleep.need
        mib = np.zeros(len(sleep.may), dtype=np.int64)
        np.add.at(mib, self.place, self.instance.mib)
        stuck = np.zeros(len(sleep.may), dtype=np.bool_)
        stuck[self.place[self.position < 0]] = True
        fit = sleep.may & on & ~stuck & (mib > 0) & (spare >= sleep.offer).all(axis=1)
        hosts = [host for host in np.flatnonzero(fit).tolist() if host not in tried]
        return min(hosts, key=lambda host: (int(mib[host]), host), default=None)

    def empty(self, host: int) -> bool:
        """Move everything off a host when that pays; otherwise leave all as it was."""
        instance, before = self.instance, self.place.copy()
        use = instance.use(self.place)
        busy = np.bincount(self.place, minlength=len(use)) > 0
        whole = np.maximum(1, instance.limit[:, [CPU, MEMORY]])
        for unit in self._units(host):
            target = self._target(unit, host, use, busy, whole)
            if target is None:
                self.place = before
                return False
            demand = instance.demand[unit].sum(axis=0)
            use[host] -= demand
            use[target] += demand
            self.place[unit] = target
        value = evaluate(instance, self.place)
        if value < self.value and why_not_valid(instance, self.place) is None:
            self.value = value
            return True
        self.place = before
        return False

    def _units(self, host: int) -> list[Index]:
        """Guests of a host, those that a rule holds together as one, the largest first."""
        guests = np.flatnonzero(self.place == host).tolist()
        unit_of = {guest: guest for guest in guests}
        for guest in guests:
            for form in self.forms.get(guest, ()):
                if isinstance(form, Together):
                    here = [other for other in form.members.tolist() if other in unit_of]
                    lead = min(unit_of[other] for other in here)
                    merged = {unit_of[other] for other in here}
                    unit_of = {other: lead if unit in merged else unit for other, unit in unit_of.items()}
        units: dict[int, list[int]] = {}
        for guest, unit in unit_of.items():
            units.setdefault(unit, []).append(guest)
        sized = [np.array(unit, dtype=np.intp) for unit in units.values()]
        return sorted(sized, key=lambda unit: (-int(self.instance.demand[unit, MEMORY].sum()), int(unit[0])))

    def _target(self, unit: Index, host: int, use: Index, busy: Bools, whole: Index) -> int | None:
        instance = self.instance
        columns = self.position[unit]
        demand = instance.demand[unit].sum(axis=0)
        fits = instance.target & busy & instance.allowed[:, columns].all(axis=1)
        fits &= (use + demand <= np.minimum(instance.cap, instance.headroom)).all(axis=1)
        fits[host] = False
        if len(unit) == 1:
            guest = int(unit[0])
            for form in self.forms.get(guest, ()):
                change = form.deltas(self.place)[:, int(np.searchsorted(form.members, guest))]
                fits &= form.broken(self.place) + change <= self.caps[id(form)]
        hosts = np.flatnonzero(fits)
        if not len(hosts):
            return None
        fullness = (use[hosts][:, [CPU, MEMORY]] * 1000 // whole[hosts]).max(axis=1)
        return int(hosts[np.lexsort((hosts, -fullness))[0]])
