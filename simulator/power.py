"""Power of simulated hosts: states with the time it takes to change them, failures, and what is drawn meanwhile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from cluster.host import PowerModel, PowerState


def watts_at(curve: Sequence[tuple[float, float]], load_ratio: float) -> float:
    """Return the watts of a curve of (load, watts) at a load, straight between its points; 0 without a curve."""
    if not curve:
        return 0.0
    if load_ratio <= curve[0][0]:
        return curve[0][1]
    for (left, below), (right, above) in pairwise(curve):
        if load_ratio <= right:
            return below + (above - below) * (load_ratio - left) / (right - left)
    return curve[-1][1]


@dataclass
class HostPower:
    """Power of one host. `changing_to` is set while it goes down or comes up, until `done_s`."""

    model: PowerModel
    state: PowerState = PowerState.ON
    changing_to: PowerState | None = None
    done_s: float = math.inf
    error: str = ""
    wakes_to_fail: int = 0
    sleeps_to_fail: int = 0
    joules: float = 0.0

    @property
    def is_on(self) -> bool:
        """Whether it runs guests: on, and up to the moment its going down is over."""
        return self.state is PowerState.ON

    @property
    def observed(self) -> PowerState:
        """What a look at its power shows: neither on nor asleep while it goes down."""
        if self.changing_to is None:
            return self.state
        return PowerState.WAKING if self.changing_to is PowerState.ON else PowerState.UNKNOWN

    @property
    def observed_model(self) -> PowerModel:
        """The host's power figures with the state that a look shows."""
        return replace(self.model, state=self.observed)

    def begin(self, to: PowerState, at_s: float) -> None:
        """Begin to change; nothing when it is there already or on the way."""
        if to in (self.state, self.changing_to) and self.changing_to in (None, to):
            return
        self.error = ""
        self.changing_to = to
        self.done_s = at_s + (self.model.wake_s if to is PowerState.ON else self.model.sleep_s)

    def finish(self) -> bool:
        """End the change under way. Return whether the host went down by it."""
        to, self.changing_to, self.done_s = self.changing_to, None, math.inf
        if to is PowerState.ON and self.wakes_to_fail > 0:
            self.wakes_to_fail -= 1
            self.error = "the host did not wake"
        elif to is PowerState.ASLEEP and self.sleeps_to_fail > 0:
            self.sleeps_to_fail -= 1
            self.error = "the host did not go to sleep"
        elif to is not None:
            self.state = to
            return to is not PowerState.ON
        return False

    def cut(self) -> None:
        """Lose all power at once."""
        self.state, self.changing_to, self.done_s = PowerState.OFF, None, math.inf

    def watts(self, load_ratio: float) -> float:
        """Return what it draws now, at this CPU load; a host that goes down or comes up draws its idle figure."""
        if self.state is PowerState.OFF:
            return 0.0
        if self.changing_to is not None:
            return watts_at(self.model.watts, 0.0 if self.state is not PowerState.ON else load_ratio)
        return watts_at(self.model.watts, load_ratio) if self.is_on else self.model.sleep_watts
