"""What plans see of hosts on their way, asleep or silent, and what the observer clears up."""

from __future__ import annotations

import pytest

from cluster.host import PowerState
from cluster.plan import StepState
from cluster.power_sight import ASKED
from executors.power import observer
from executors.power.observer import PowerObserver
from tests.executors.power.site import SETTINGS, Site, asleep, effective, sleep, wake


def test_a_host_on_its_way_is_no_target() -> None:
    """From the first mark until it reports again, no plan takes it for on."""
    site = Site()
    seen = [effective(site)]
    site.begin(sleep())
    while site.store.active_plan() is not None:
        site.tick()
        seen.append(effective(site))
    site.begin(wake(), plan_id="p2")
    while site.store.active_plan() is not None:
        site.tick()
        seen.append(effective(site))
    order = [one for index, one in enumerate(seen) if index == 0 or seen[index - 1] is not one]
    assert order == [PowerState.ON, PowerState.UNKNOWN, PowerState.ASLEEP, PowerState.WAKING, PowerState.ON]


def test_a_sleep_that_failed_leaves_a_host_that_is_no_target() -> None:
    """It may go down yet. Only after as long again, on and reporting all the while, it counts as on."""
    site = Site(deaf=True)
    assert site.run(sleep()).state is StepState.FAILED
    site.look()
    assert effective(site) is PowerState.UNKNOWN
    site.look(6)
    assert effective(site) is PowerState.ON
    assert site.lines == ["host h1 was to sleep, but is on and reports: it counts as on again"]


def test_a_host_that_wakes_by_itself_counts_as_on_again() -> None:
    """Somebody switched it on: after a while it is on, and no longer ours to wake."""
    site = asleep(Site())
    site.machines["h1"].put(True)
    site.look()
    assert effective(site) is PowerState.UNKNOWN
    site.look(6)
    assert effective(site) is PowerState.ON
    assert ASKED + "h1" not in site.store.flags()


def test_a_host_whose_bmc_falls_silent_while_it_sleeps_is_unknown_after_some_looks() -> None:
    """One look that misses is let pass; then nobody knows whether it would wake."""
    site = asleep(Site())
    site.look()
    assert effective(site) is PowerState.ASLEEP
    site.machines["h1"].silent = True
    site.look(2)
    assert effective(site) is PowerState.ASLEEP
    site.look(2)
    assert effective(site) is PowerState.UNKNOWN
    site.machines["h1"].silent = False
    site.look(2)
    assert effective(site) is PowerState.ASLEEP


def test_a_host_that_is_down_without_our_asking_is_seen_off() -> None:
    """The observer sees it, and nobody wakes it."""
    site = Site()
    site.machines["h1"].put(False)
    site.look(6)
    assert effective(site) is PowerState.OFF
    assert site.machines["h1"].asked == []


def test_hosts_that_report_are_not_asked() -> None:
    """BMCs are left in peace while their hosts speak for themselves."""
    site = Site()
    site.look(5)
    assert [machine.looks for machine in site.machines.values()] == [0, 0, 0]


def test_of_many_hosts_only_so_many_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those not looked at for longest come first, so that all have their turn."""
    monkeypatch.setattr(observer, "MOST_AT_ONCE", 2)
    site = Site()
    for machine in site.machines.values():
        machine.put(False)
    site.look(4)
    for machine in site.machines.values():
        machine.looks = 0
    site.look(3)
    looks = [machine.looks for machine in site.machines.values()]
    assert sum(looks) == 6
    assert min(looks) > 0


def test_what_a_step_is_about_is_left_to_the_step() -> None:
    """A host that is long about going down is not called on again while its step waits for it."""
    site = Site(deaf=True)
    site.begin(sleep())
    site.tick()
    while site.record().step_state("s1") is not StepState.FAILED:
        assert ASKED + "h1" in site.store.flags()
        assert site.observer.look() == ()
        site.tick(5.0)
    assert site.clock.elapsed_s > SETTINGS.sleep_timeout_s


def test_a_host_that_reports_is_on_whatever_its_bmc_says() -> None:
    """A BMC that says off for ever does not keep a host from work whose own word shows that it runs."""
    site = Site(deaf=True, says=PowerState.OFF)
    assert site.run(sleep()).state is StepState.FAILED
    site.look()
    assert effective(site) is PowerState.ASLEEP
    site.look(6)
    assert effective(site) is PowerState.ON


def test_a_last_report_that_is_still_fresh_is_no_sign_of_life() -> None:
    """A host just gone to sleep is ours for good, however long its last word counts as fresh."""
    site = asleep(Site())
    site.observer = PowerObserver(
        site.executor.workers, site.store, site.clock, SETTINGS, site.room, stale_s=10.0 * SETTINGS.sleep_timeout_s
    )
    site.look(12)
    assert ASKED + "h1" in site.store.flags()
