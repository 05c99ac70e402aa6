"""Recordings: what is written comes back, what is broken is refused with file and line."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.config.settings import CollectSettings, CollectSource, HostSettings, Settings
from cluster.errors import HostUnreachableError, InputError
from cluster.report import Report
from cluster.store.memory import MemoryStore
from collectors.recorded import RecordedCollector, Recorder, read_recording, recorded_collectors
from collectors.registry import make_collector, open_recorded_fleet
from collectors.reporter import Reporter
from tests.collectors.fakes import START, FakeClock, FakeCollector


def recording(path: Path, hosts: int = 2, looks: int = 3) -> list[Report]:
    """Write a recording of some hosts, 10 s between looks, CPU growing by look."""
    clock = FakeClock()
    collectors = [FakeCollector(clock, f"kvm-{number}") for number in range(1, hosts + 1)]
    reporters = [Reporter(collector, clock, "boot") for collector in collectors]
    written = []
    with Recorder(path) as recorder:
        for look in range(looks):
            for collector, reporter in zip(collectors, reporters, strict=True):
                collector.cpu = {f"{collector.host}-a": 100 * look}
                written.append(reporter.report())
                recorder.write(written[-1])
            clock.sleep(10)
    return written


def test_a_recording_reads_back_equal(tmp_path: Path) -> None:
    """Every report comes back as it was, in order."""
    written = recording(tmp_path / "r.jsonl")
    assert list(read_recording(tmp_path / "r.jsonl")) == written


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(cut=st.integers(min_value=0, max_value=400))
def test_a_cut_recording_keeps_its_whole_lines(tmp_path: Path, cut: int) -> None:
    """A recording whose end was lost plays up to its last whole line."""
    path = tmp_path / "whole.jsonl"
    path.unlink(missing_ok=True)
    written = recording(path, hosts=1)
    text = path.read_bytes()
    path.write_bytes(text[: len(text) - cut])
    whole = text[: len(text) - cut].count(b"\n")
    assert list(read_recording(path)) == written[:whole]


def test_play_back_moves_time_and_repeats_the_end(tmp_path: Path) -> None:
    """The first look is now, the next as much later as they were apart; after the end the last one grows old."""
    recording(tmp_path / "r.jsonl")
    clock = FakeClock()
    clock.sleep(86_400)
    collector = recorded_collectors(tmp_path / "r.jsonl", clock)["kvm-1"]
    seen = []
    for _ in range(5):
        seen.append(collector.collect())
        clock.sleep(10)
    assert [one.taken_at - START for one in seen] == [
        timedelta(seconds=86_400 + later) for later in (0, 10, 20, 20, 20)
    ]
    assert [one.guests[0].usage.cpu_millicores for one in seen] == [0, 100, 200, 200, 200]
    assert all(one.host.measured_at == one.taken_at for one in seen)


def test_a_host_without_observations_is_unreachable() -> None:
    """Nothing recorded is an error with a name, not an empty host."""
    with pytest.raises(HostUnreachableError, match="kvm-9"):
        RecordedCollector("kvm-9", (), FakeClock()).collect()


@pytest.mark.parametrize("text", ["{}\n", "nothing\n", '{"schema": "trimtab.report/99"}\n'])
def test_a_broken_line_is_refused_by_number(tmp_path: Path, text: str) -> None:
    """What is not a report names the file and the line."""
    path = tmp_path / "r.jsonl"
    recording(path, hosts=1, looks=1)
    with path.open("a") as file:
        file.write(text)
    with pytest.raises(InputError, match=r"r\.jsonl: line 2"):
        list(read_recording(path))


def test_a_missing_recording_is_refused(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(InputError, match=r"none\.jsonl"):
        list(read_recording(tmp_path / "none.jsonl"))


def test_a_recording_is_a_source_like_others(tmp_path: Path) -> None:
    """The registry builds a recorded host by configuration, and says which hosts a recording holds."""
    path = tmp_path / "r.jsonl"
    recording(path)
    collect = replace(CollectSettings(), source=CollectSource.RECORDED, recording=str(path))
    chosen = Settings(collect=collect)
    assert make_collector(chosen, HostSettings("kvm-2"), FakeClock()).collect().host.id == "kvm-2"
    with pytest.raises(InputError, match=r"kvm-7 is not in this recording; it holds: kvm-1, kvm-2"):
        make_collector(chosen, HostSettings("kvm-7"), FakeClock())


def test_a_recorded_fleet_fills_the_store(tmp_path: Path) -> None:
    """The whole recording is played into a store, all hosts answering."""
    path = tmp_path / "r.jsonl"
    recording(path)
    clock = FakeClock()
    store = MemoryStore(clock)
    fleet = open_recorded_fleet(Settings(collect=replace(CollectSettings(), recording=str(path))), store, clock)
    assert fleet.collect() == {}
    assert [report.host for report in store.reports()] == ["kvm-1", "kvm-2"]
    fleet.close()
