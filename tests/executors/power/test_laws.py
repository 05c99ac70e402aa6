"""Laws of power steps under random faults, guests, changes of leader and other people's hands."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.errors import ConflictError
from cluster.host import PowerState
from cluster.power_sight import ASKED, BY_HAND
from tests.executors.power.site import SETTINGS, Site, sleep, wake

HOSTS = ("h1", "h2", "h3")
LONGEST_S = max(SETTINGS.sleep_timeout_s + SETTINGS.agent_timeout_s, SETTINGS.wake_timeout_s) + 30

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["sleep", "wake", "guest", "empty", "put on", "put off"]), st.sampled_from(HOSTS)),
        st.tuples(st.sampled_from(["refuses", "silent", "deaf", "sound"]), st.sampled_from(HOSTS)),
        st.tuples(st.sampled_from(["says on", "says off", "unseen", "seen"]), st.sampled_from(HOSTS)),
        st.tuples(st.just("tick"), st.integers(1, 60)),
        st.tuples(st.sampled_from(["take over", "restart", "look"]), st.none()),
    ),
    min_size=1,
    max_size=25,
)


class Watched(Site):
    """A site on which every word to a host is looked at in the moment it is said."""

    def __init__(self) -> None:
        super().__init__()
        self.plans = 0
        for host, machine in self.machines.items():
            machine.sleep = self._checked(host, machine.sleep, self.sleep_is_right)  # type: ignore[method-assign]
            machine.wake = self._checked(host, machine.wake, self.wake_is_right)  # type: ignore[method-assign]

    def _checked(self, host: str, told: Callable[[], None], check: Callable[[str], None]) -> Callable[[], None]:
        def tell() -> None:
            check(host)
            told()

        return tell

    def sleep_is_right(self, host: str) -> None:
        """Never with a guest there, never with starts let through, never unmarked, never without the permit."""
        assert host not in self.room.holds
        assert host in self.room.shut
        assert ASKED + host in self.store.flags()
        assert self.store.permits_taken() == {f"power:{host}": 1}

    def wake_is_right(self, host: str) -> None:
        """Never a host that is not ours, unless a person asked for it; never without the permit."""
        flags = self.store.flags()
        assert ASKED + host in flags or BY_HAND + host in flags
        assert self.store.permits_taken() == {f"power:{host}": 1}

    def happen(self, what: str, about: str | int | None) -> None:
        """Let something happen."""
        host = str(about)
        match what:
            case "sleep" | "wake":
                self.plans += 1
                try:
                    self.begin(sleep(host) if what == "sleep" else wake(host), plan_id=f"plan-{self.plans}")
                except ConflictError:
                    return
            case "guest":
                # As the door has it: nothing is started on a host whose door is shut.
                if host not in self.room.shut:
                    self.room.holds[host] = "web-1"
            case "empty":
                self.room.holds.pop(host, None)
            case "put on" | "put off":
                self.machines[host].put(what == "put on")
            case "refuses" | "silent" | "deaf":
                setattr(self.machines[host], what, True)
            case "sound":
                machine = self.machines[host]
                machine.refuses = machine.silent = machine.deaf = False
                machine.says = None
            case "says on" | "says off":
                self.machines[host].says = PowerState(what.removeprefix("says "))
            case "unseen":
                self.room.unseen.add(host)
            case "seen":
                self.room.unseen.discard(host)
            case "tick":
                for _ in range(int(about or 0)):
                    self.tick()
            case "take over":
                self.take_over()
            case "restart":
                self.restart()
            case _:
                self.lines += self.observer.look()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_whatever_happens_hosts_are_told_only_what_is_right(events: list[tuple[str, str | int | None]]) -> None:
    """Each word to a host is right in the moment it is said, every plan ends in time, all comes back to rest."""
    site = Watched()
    for what, about in events:
        site.happen(what, about)
    began_s = site.clock.elapsed_s
    while site.store.active_plan() is not None:
        site.tick()
        assert site.clock.elapsed_s - began_s < LONGEST_S, site.store.active_plan()
    assert site.store.permits_taken() == {}
    # Everybody is well again, and what is up reports: whoever is up counts as on in the end, whatever was asked.
    for host in HOSTS:
        site.happen("sound", host)
        site.machines[host].put(True)
    site.look(8)
    assert not [flag for flag in site.store.flags() if flag.startswith(ASKED)]
    assert not site.room.shut
