"""The judge of forecasts: its loss, the plain guesses it compares with, and how it reads the traces."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.forecast import PLAIN, WITH_ERRORS, Judged, guesses, judge, misses, pinball
from benchmarks.forecast_traces import Trace, bitbrains, google
from cluster.errors import InputError

DAY = 288


def test_too_low_costs_nineteen_times_as_much_as_too_high() -> None:
    """At the 95th percentile: 0.95 of what use lies above, 0.05 of what it lies below."""
    assert pinball(np.asarray([100.0, 100.0, 100.0]), np.asarray([90.0, 110.0, 100.0])) == pytest.approx(
        [9.5, 0.5, 0.0]
    )


def test_the_plain_guesses_are_what_they_are_called() -> None:
    """Of a course that counts its slots: the last value, and the value a day before the slot that is guessed."""
    past = np.arange(3 * DAY, dtype=np.float32)[None]
    said = guesses(past, np.asarray([1e6], np.float32))
    last = 3 * DAY - 1
    assert said[PLAIN[0]][0].tolist() == [last] * 5
    assert said[PLAIN[1]][0].tolist() == [last + ahead - DAY for ahead in (1, 6, 12, 48, 96)]
    # Their errors are always the same here: what they were off by, so that with them added they are right.
    for name in WITH_ERRORS:
        assert said[name][0].tolist() == [last + ahead for ahead in (1, 6, 12, 48, 96)]


def test_nothing_after_a_forecast_reaches_it() -> None:
    """The same forecasts come of a trace whose slots after the origin are others."""
    use = np.random.default_rng(1).integers(0, 500, (10, 5 * DAY)).astype(np.float32)
    other, origin = use.copy(), 4 * DAY
    other[:, origin:] = 7
    limits = np.full(10, 1000, np.float32)
    for name, figures in guesses(use[:, :origin], limits).items():
        np.testing.assert_array_equal(figures, guesses(other[:, :origin], limits)[name])
    of_one, _ = judge(Trace("one", "", use, limits), [origin])
    truth = use[:, [origin - 1 + ahead for ahead in (1, 6, 12, 48, 96)]]
    np.testing.assert_array_equal(of_one.use[0], truth)


def test_a_target_that_is_missed_is_told() -> None:
    """Each horizon and plain guess that has not a tenth more loss than ours is named, and no other."""
    names = (*PLAIN, "forecast")
    loss = {name: np.full((1, 3, 5), figure) for name, figure in zip(names, (10.0, 20.0, 9.0), strict=True)}
    loss["forecast"][:, :, 1] = 9.1
    trace = Trace("made up", "", np.zeros((3, 1), np.float32), np.zeros(3, np.float32))
    assert misses(trace, Judged(loss, {}, loss["forecast"])) == [
        "made up, 30 min ahead: 9.10 against 10.00 of 'last value'"
    ]


def test_the_bitbrains_rows_are_spread_over_their_durations(tmp_path: Path) -> None:
    """A row of fifteen minutes stands for three slots up to its time; megahertz become thousandths of a core."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "bitbrains"
    folder.mkdir()
    start = datetime(2013, 8, 12, 13, 35, 46, tzinfo=UTC)
    parquet.write_table(
        pyarrow.table({"id": ["a", "b"], "cpu_count": [2, 1], "cpu_capacity": [4000.0, 1000.0]}),
        folder / "meta.parquet",
    )
    rows = [("a", 5, 5, 1000.0), ("a", 20, 15, 2000.0), ("b", 10, 5, 500.0)]
    stamp = pyarrow.timestamp("ms", "UTC")
    columns = {
        "id": [row[0] for row in rows],
        "timestamp": pyarrow.array([start + timedelta(minutes=row[1]) for row in rows], stamp),
        "duration": [row[2] * 60_000 for row in rows],
        "cpu_usage": [row[3] for row in rows],
    }
    parquet.write_table(pyarrow.table(columns), folder / "trace.parquet")
    trace = bitbrains(tmp_path)
    nan = np.nan
    np.testing.assert_array_equal(trace.use, [[500, 1000, 1000, 1000], [nan, 500, nan, nan]])
    assert trace.limits.tolist() == [2000, 1000]


def test_the_google_files_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    """Percent of CPU and memory, memory over 100 cut off; without the file it is said which is missing."""
    with pytest.raises(InputError, match=r"gcd_half\.tar\.gz: no such file"):
        google(tmp_path)
    with tarfile.open(tmp_path / "gcd_half.tar.gz", "w:gz") as archive:
        for name, text in (("vm_2", "50 120\n1 1\n"), ("vm_1", "10,20\n0,0\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    cpu, memory = google(tmp_path)
    assert cpu.use.tolist() == [[100, 0], [500, 10]]
    assert memory.use.tolist() == [[1638, 0], [8192, 81]]
