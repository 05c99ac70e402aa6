"""Power of hosts in the real loop: a person's command carried out, looks at a silent host, what the status tells."""

from __future__ import annotations

import json
from dataclasses import replace

from cluster.config.power import PowerSettings, WakeTest
from cluster.config.settings import HostSettings, Mode, Settings
from cluster.formats.plan_file import write_plan
from cluster.host import PowerModel, PowerState
from cluster.plan import Plan, PlanState, Sleep, StepState, Wake
from cluster.store.protocol import Command
from executors.dry_run import DryRunMigrationExecutor
from scheduler.loop import Loop
from scheduler.parts import Parts
from scheduler.power.by_hand import plan_of
from tests.executors.power.site import SETTINGS, Site

HOSTS = tuple(HostSettings(one, power=PowerModel(controllable=True)) for one in ("h1", "h2", "h3"))


class Daemon:
    """A real loop over a site's hosts, in a test's time."""

    def __init__(self) -> None:
        self.site = Site()
        assert self.site.lease is not None
        self.site.store.release_lease(self.site.lease)
        self.site.report_ttl_s = 120.0
        # Memory forgets, and says so; here it lives as long as the daemon.
        self.site.store.durability_problems = tuple  # type: ignore[method-assign]
        base = Settings(hosts=HOSTS, power=replace(SETTINGS, wake_test=WakeTest.OFF))
        chosen = replace(
            base,
            scheduler=replace(base.scheduler, mode=Mode.OBSERVE),
            gate=replace(base.gate, quiet_start_s=0.0, kill_switch="/nowhere/stop"),
            collect=replace(base.collect, report_ttl_s=120.0, stale_s=60.0),
        )
        assert isinstance(chosen.power, PowerSettings)
        hands = DryRunMigrationExecutor(self.site.clock)
        site, self.lines = self.site, list[str]()
        parts = Parts(site.store, None, hands, site.executor, None, power_eyes=site.observer)
        self.loop = Loop(parts, chosen, site.clock, "a daemon", self.lines.append)

    def run(self, seconds: int) -> None:
        """Let the loop work for so many seconds."""
        for second in range(seconds):
            self.loop.keep_lease()
            self.loop.tick()
            if second % 30 == 0:
                self.loop.look_at_power()
            before = self.site.clock.elapsed_s
            self.site.clock.sleep(1.0)
            if before // 10 != self.site.clock.elapsed_s // 10:
                self.site.report()

    def ask(self, step: Sleep | Wake) -> Plan:
        """Ask for a step as the verbs do."""
        plan = plan_of(step, self.loop.see(None).snapshot, self.loop.settings, "ann")
        self.site.store.push_command(Command(plan.id, "power", write_plan(plan), "ann", self.site.clock.now()))
        return plan

    def told(self) -> list[tuple[str, str, str | None]]:
        """What the status says of each host's power: effective, requested, observed."""
        status = json.loads(json.dumps(self.loop.status()))
        return [(one["power"], one["power_requested"], one["power_observed"]) for one in status["hosts"]]


def test_a_host_sleeps_for_hours_and_comes_back() -> None:
    """It stays in sight after its report has expired, asked and seen are told apart, on it is once it reports."""
    daemon = Daemon()
    daemon.run(5)
    slept = daemon.ask(Sleep("s1", "h1", "ann asked for it"))
    daemon.run(2)
    assert daemon.told()[0] == ("unknown", "asleep", "on")
    daemon.run(120)
    record = daemon.site.store.plan(slept.id)
    assert record is not None
    assert (record.state, record.step_state("s1")) == (PlanState.ENDED, StepState.DONE)
    daemon.run(600)
    assert "h1" not in {report.host for report in daemon.site.store.reports()}
    assert daemon.told() == [("asleep", "asleep", "off"), ("on", "on", "on"), ("on", "on", "on")]
    daemon.ask(Wake("s1", "h1", "ann asked for it"))
    daemon.run(3)
    assert daemon.told()[0][:2] == ("waking", "asleep")
    daemon.run(150)
    assert daemon.told()[0] == ("on", "on", "on")
    assert daemon.site.machines["h1"].asked == ["sleep", "wake"]
    left = {flag for flag in daemon.site.store.flags() if flag.endswith(":h1")}
    # What is ours is gone; the log of power and the proof of waking are others'.
    assert left <= {"power_log:h1", "wake:h1", "waking:h1"}


def test_a_person_is_told_why_not() -> None:
    """What stands against it is in the log, and nothing is begun."""
    daemon = Daemon()
    daemon.run(5)
    daemon.ask(Sleep("s1", "h1", "ann asked for it"))
    daemon.site.store.set_flag("paused", "bob")
    daemon.run(2)
    assert any("refused: paused by bob" in line for line in daemon.lines)
    assert daemon.site.store.plans(9) == ()


def test_a_host_seen_on_that_was_to_sleep_is_said() -> None:
    """Somebody switched it on: it counts as on after a while, and the log says so once."""
    daemon = Daemon()
    daemon.run(5)
    daemon.ask(Sleep("s1", "h1", "ann asked for it"))
    daemon.run(120)
    daemon.site.machines["h1"].put(True)
    daemon.run(60)
    assert daemon.told()[0] == ("unknown", "asleep", "on")
    daemon.run(180)
    assert daemon.told()[0] == ("on", "on", "on")
    assert [line for line in daemon.lines if "counts as on again" in line] == [
        "host h1 was to sleep, but is on and reports: it counts as on again"
    ]
    assert daemon.site.machines["h1"].state() is PowerState.ON
