"""Which guests or hosts a rule speaks of: a set of labels that must all match, or a list of ids. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.guest import Guest
from cluster.host import Host


@dataclass(frozen=True, slots=True)
class Selector:
    """Selects by `labels` (all must match; never empty then) or by `ids`, exactly one of the two being set."""

    labels: Mapping[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] = ()

    def matches(self, one: Guest | Host) -> bool:
        """Tell whether a guest (by id, name or labels) or a host (by id or labels) is selected."""
        if self.ids:
            return one.id in self.ids or (isinstance(one, Guest) and one.name != "" and one.name in self.ids)
        return bool(self.labels) and all(one.labels.get(key) == value for key, value in self.labels.items())
