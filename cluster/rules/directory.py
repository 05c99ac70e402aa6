"""Guests or hosts by id, name and label: who a selector names is found without looking at everyone for every rule."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.guest import Guest
from cluster.host import Host
from cluster.rules.selector import Selector


class Directory:
    """Answers as `Selector.matches` does of each one."""

    def __init__(self, things: Sequence[Guest | Host]) -> None:
        self._ids = [one.id for one in things]
        self._by_name: dict[str, list[int]] = {}
        self._by_label: dict[tuple[str, str], list[int]] = {}
        for number, one in enumerate(things):
            self._by_name.setdefault(one.id, []).append(number)
            if isinstance(one, Guest) and one.name:
                self._by_name.setdefault(one.name, []).append(number)
            for label in one.labels.items():
                self._by_label.setdefault(label, []).append(number)

    def select(self, selector: Selector) -> list[str]:
        """Return the ids of those a selector names, in the order given."""
        if selector.ids:
            found = {number for name in selector.ids for number in self._by_name.get(name, ())}
        elif selector.labels:
            with_label = sorted((self._by_label.get(label, []) for label in selector.labels.items()), key=len)
            found = set(with_label[0]).intersection(*with_label[1:])
        else:
            found = set()
        return [self._ids[number] for number in sorted(found)]
