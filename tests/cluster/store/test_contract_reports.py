"""What every store promises about reports, usage history, flags, commands and the daemon's status."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cluster.history import SLOT_S, Metric, slot_of
from cluster.store.protocol import Command, Sample
from tests.cluster.store.builders import at, report
from tests.cluster.store.harness import START, Harness

CPU = Metric.CPU_MILLICORES


def command(number: int) -> Command:
    """Return a command."""
    return Command(f"c{number}", "drain", f"host-{number}", "ann", at(number))


def test_a_report_comes_back_as_it_was_put(harness: Harness) -> None:
    """Every field of a report survives, and hosts come in order of their ids."""
    second, first = report("b", 0, 1), report("a", 5, 3)
    assert harness.store.put_report(second, harness.long_s)
    assert harness.store.put_report(first, harness.long_s)
    assert harness.other.reports() == (first, second)


def test_an_older_report_never_replaces_a_newer_one(harness: Harness) -> None:
    """A late report of the same agent, or any of an agent started earlier, is refused and changes nothing."""
    newest = report("a", 10, 7)
    harness.store.put_report(newest, harness.long_s)
    assert not harness.store.put_report(report("a", 10, 6), harness.long_s)
    assert not harness.store.put_report(report("a", 9, 8000), harness.long_s)
    assert harness.store.reports() == (newest,)


def test_a_restarted_agent_is_accepted_at_once(harness: Harness) -> None:
    """A later start wins over any sequence number, even when it is a microsecond later."""
    harness.store.put_report(report("a", 10, 9000), harness.long_s)
    restarted = report("a", 10.000001, 0)
    assert harness.store.put_report(restarted, harness.long_s)
    assert harness.store.reports() == (restarted,)


def test_the_same_report_again_is_held_already(harness: Harness) -> None:
    """An agent that did not hear the answer may send again; what is held stays as it is."""
    first = report("a", 10, 7, memory_mib=1024)
    harness.store.put_report(first, harness.long_s)
    assert harness.store.put_report(report("a", 10, 7, memory_mib=2048), harness.long_s)
    assert harness.store.reports() == (first,)


def test_a_report_expires(harness: Harness) -> None:
    """After its time to live a report is gone, and then even an older one is news."""
    harness.store.put_report(report("a", 10, 7), harness.short_s)
    kept = report("b", 0, 0)
    harness.store.put_report(kept, harness.long_s)
    harness.expire()
    assert harness.store.reports() == (kept,)
    assert harness.store.put_report(report("a", 1, 1), harness.long_s)


def test_each_newer_report_lives_its_whole_time(harness: Harness) -> None:
    """A report's time to live begins anew with the report that replaces it."""
    harness.store.put_report(report("a", 10, 1), harness.short_s)
    harness.store.put_report(report("a", 10, 2), harness.long_s)
    harness.expire()
    assert len(harness.store.reports()) == 1


def test_a_ring_that_was_never_written_is_empty(harness: Harness) -> None:
    """Reading what nobody recorded gives an empty ring, not an error."""
    assert harness.store.usage("nobody", CPU).last_slot == 0


def test_samples_of_one_slot_are_averaged(harness: Harness) -> None:
    """A slot's figure is the rounded-down mean of its samples."""
    for value in (10, 20, 31):
        harness.store.record_usage("g", CPU, START, value)
    assert harness.other.usage("g", CPU).latest(START, 1) == [20]


def test_slots_without_a_sample_are_unknown(harness: Harness) -> None:
    """A gap reads as nothing, and so does a slot that a whole turn of the ring has left behind."""
    for slots, value in ((0, 1), (3, 2)):
        harness.store.record_usage("g", CPU, START + timedelta(seconds=slots * SLOT_S), value)
    assert harness.store.usage("g", CPU).values(slot_of(START), 4) == [1, None, None, 2]
    harness.store.record_usage("g", CPU, START + timedelta(days=28), 5)
    assert harness.store.usage("g", CPU).values(slot_of(START), 1) == [None]


def test_guests_and_metrics_have_their_own_rings(harness: Harness) -> None:
    """A sample touches one guest's one metric."""
    harness.store.record_usage("g", CPU, START, 5)
    assert harness.store.usage("g", Metric.MEMORY_MIB).last_slot == 0
    assert harness.store.usage("h", CPU).last_slot == 0


def test_many_samples_are_recorded_like_one_by_one(harness: Harness) -> None:
    """More samples than fit one journey, several of one slot among them, end in the same rings as single ones."""
    samples = [Sample(f"g{n % 400}", CPU, START + timedelta(seconds=n // 600 * SLOT_S), n) for n in range(1300)]
    harness.store.record_samples(samples)
    harness.store.record_samples([])
    for sample in samples:
        harness.store.record_usage(f"single-{sample.guest}", CPU, sample.at, sample.value)
    for number in range(400):
        ring = harness.other.usage(f"g{number}", CPU)
        assert ring == harness.other.usage(f"single-g{number}", CPU)
        assert ring.last_slot > 0


def test_a_usage_below_zero_is_a_mistake(harness: Harness) -> None:
    """Nothing is recorded for a figure that cannot be."""
    with pytest.raises(ValueError, match="below zero"):
        harness.store.record_samples([Sample("g", CPU, START, 1), Sample("g", CPU, START, -1)])
    assert harness.store.usage("g", CPU).last_slot == 0


def test_flags_are_set_changed_and_cleared(harness: Harness) -> None:
    """Flags come sorted by name; clearing one that is not set does nothing."""
    harness.store.set_flag("paused", "by ann: ünïcode")
    harness.store.set_flag("cordon:b", "x")
    harness.store.set_flag("cordon:b", "y")
    harness.store.set_flag("drain:a", "")
    harness.store.set_flag("fail:c", None)
    assert list(harness.other.flags().items()) == [("cordon:b", "y"), ("drain:a", ""), ("paused", "by ann: ünïcode")]
    harness.store.set_flag("paused", None)
    assert "paused" not in harness.store.flags()


def test_commands_are_taken_in_order_and_once(harness: Harness) -> None:
    """All queued commands come at once, oldest first, and never again."""
    for number in (2, 1, 3):
        harness.store.push_command(command(number))
    assert harness.other.take_commands() == (command(2), command(1), command(3))
    assert harness.store.take_commands() == harness.other.take_commands() == ()
    harness.store.push_command(command(4))
    assert harness.store.take_commands() == (command(4),)


def test_a_command_pushed_twice_is_carried_out_once(harness: Harness) -> None:
    """The id makes it the same command, also after it was taken."""
    harness.store.push_command(command(1))
    harness.store.push_command(command(1))
    assert harness.store.take_commands() == (command(1),)
    harness.store.push_command(command(1))
    assert harness.store.take_commands() == ()


def test_status_lives_as_long_as_it_was_given(harness: Harness) -> None:
    """No daemon, no status; a published one is read until it expires."""
    assert harness.store.status() is None
    harness.store.put_status('{"é": 1}', harness.long_s)
    assert harness.other.status() == '{"é": 1}'
    harness.store.put_status("{}", harness.short_s)
    harness.expire()
    assert harness.store.status() is None


def test_a_store_that_answers_says_so(harness: Harness) -> None:
    """Ping of a healthy store raises nothing."""
    harness.store.ping()
