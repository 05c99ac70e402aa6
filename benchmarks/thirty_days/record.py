"""A world's course written down while it runs, from where guests are held, what migrates and how hosts are powered."""

from __future__ import annotations

from benchmarks.thirty_days.course import ASLEEP, GOING_DOWN, ON, WAKING, Course, Move, PowerChange
from benchmarks.thirty_days.load import Weeks
from cluster.host import PowerState
from simulator.power import HostPower
from simulator.watcher import Holding
from simulator.world import World


class Recorder:
    """A ledger of a world. Told before anything changes, it dates what is new by when it was told last."""

    def __init__(self, weeks: Weeks) -> None:
        self._weeks = weeks
        self._host = {host.id: i for i, host in enumerate(weeks.hosts)}
        self._guest = {guest.id: i for i, guest in enumerate(weeks.guests)}
        self._at = {guest.id: guest.host for guest in weeks.guests}
        self._under_way: dict[str, tuple[str, str, float]] = {}
        self._states = dict.fromkeys(self._host, ON)
        self._told_s = 0.0
        self._moves: list[Move] = []
        self._power: list[PowerChange] = []
        self.lost: set[str] = set()

    def advance(self, world: World) -> None:
        """Note what has changed; it did at the moment of the call before this one."""
        for host_id, host in world.hosts.items():
            state = state_of(host.power)
            if state != self._states[host_id]:
                self._states[host_id] = state
                self._power.append(PowerChange(self._told_s, self._host[host_id], state))
        for guest in [one for one in self._under_way if one not in world.migrations]:
            self._ended(world, guest)
        for guest, one in world.migrations.items():
            if guest in self._under_way and self._under_way[guest][:2] != (one.source, one.target):
                self._ended(world, guest)
            self._under_way.setdefault(guest, (one.source, one.target, self._told_s))
        self._told_s = world.now_s

    def course(self, duration_s: float) -> Course:
        """Return what was written down so far, with what is still under way as if it ended now without arriving."""
        open_moves = [
            self._move(guest, source, target, began_s, duration_s, arrived=False)
            for guest, (source, target, began_s) in self._under_way.items()
        ]
        moves = sorted((*self._moves, *open_moves), key=lambda move: move.ended_s)
        return Course(self._weeks, tuple(moves), tuple(self._power), duration_s)

    def check(self, world: World) -> None:
        """Compare with where the world has its guests now. `AssertionError` where they differ."""
        for host, on in world.holdings.items():
            for guest, holding in on.items():
                if holding is Holding.RUNNING and self._at[guest] != host:
                    raise AssertionError(f"guest {guest} runs on {host}, and was written down on {self._at[guest]}")
        running = {guest for on in world.holdings.values() for guest in on}
        self.lost |= self._at.keys() - running

    def _ended(self, world: World, guest: str) -> None:
        source, target, began_s = self._under_way.pop(guest)
        arrived = world.holdings[target].get(guest) is Holding.RUNNING
        if arrived:
            self._at[guest] = target
        self._moves.append(self._move(guest, source, target, began_s, self._told_s, arrived))

    def _move(self, guest: str, source: str, target: str, began_s: float, ended_s: float, arrived: bool) -> Move:
        return Move(self._guest[guest], self._host[source], self._host[target], began_s, ended_s, arrived)


def state_of(power: HostPower) -> int:
    """Return a host's power as a course has it; without power is asleep to it."""
    if power.changing_to is not None:
        return WAKING if power.changing_to is PowerState.ON else GOING_DOWN
    return ON if power.is_on else ASLEEP
