"""Traces are read whole or refused in a line, whatever form they come in, and all forms of the same loads agree."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import InputError
from simulator.traces import from_rows, held, planetlab, read_trace

START = datetime(2026, 11, 16, tzinfo=UTC)


def write_csv(path: Path, rows: list[tuple[str, str, str]], header: str = "time,guest,cpu_millicores") -> Path:
    """Write a CSV of (time, guest, millicores)."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(header + "\n")
        csv.writer(file).writerows(rows)
    return path


def at(slot: int) -> str:
    """The time of a slot, as files have it."""
    return (START + timedelta(seconds=300 * slot)).isoformat().replace("+00:00", "Z")


@given(
    values=st.dictionaries(
        st.tuples(st.integers(0, 20), st.sampled_from(["a", "b", "c"])), st.integers(0, 4000), min_size=1
    )
)
def test_what_a_row_says_holds_until_the_next_one(values: dict[tuple[int, str], int]) -> None:
    """In any order of rows; before its first a guest wants nothing."""
    rows = [(START + timedelta(seconds=300 * slot), guest, float(cpu)) for (slot, guest), cpu in values.items()]
    trace = from_rows(reversed(rows), "a test")
    first = min(slot for slot, _ in values)
    assert trace.start == START + timedelta(seconds=300 * first)
    for row, guest in enumerate(trace.guests):
        for column in range(trace.cpu.shape[1]):
            slot = first + column * trace.step_s // 300
            said = [values[one, guest] for one in range(slot + 1) if (one, guest) in values]
            assert trace.cpu[row, column] == (said[-1] if said else 0)


def test_what_is_held_has_no_gaps() -> None:
    """Missing figures are as before."""
    nan = np.nan
    assert held(np.array([[nan, 2.0, nan, 3.0], [nan, nan, nan, nan]])).tolist() == [[0, 2, 2, 3], [0, 0, 0, 0]]


def test_a_csv_is_read(tmp_path: Path) -> None:
    """Further columns are passed over."""
    path = write_csv(tmp_path / "t.csv", [(at(0), "a", "100"), (at(1), "a", "200"), (at(1), "b", "7")])
    trace = read_trace(path)
    assert trace.guests == ("a", "b") and trace.step_s == 300 and trace.start == START
    assert trace.millicores({}).tolist() == [[100.0, 200.0], [0.0, 7.0]]


def test_parquet_of_the_same_loads_is_the_same_trace(tmp_path: Path) -> None:
    """Times with or without a zone (then UTC)."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra for Parquet is not installed")
    import pyarrow

    rows = [(at(0), "a", "100"), (at(1), "a", "200"), (at(1), "b", "7")]
    times = [datetime.fromisoformat(time.replace("Z", "+00:00")) for time, _, _ in rows]
    table = pyarrow.table(
        {"time": times, "guest": [guest for _, guest, _ in rows], "cpu_millicores": [int(cpu) for _, _, cpu in rows]}
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    mine, theirs = read_trace(tmp_path / "t.parquet"), read_trace(write_csv(tmp_path / "t.csv", rows))
    assert (mine.guests, mine.start, mine.step_s) == (theirs.guests, theirs.start, theirs.step_s)
    assert mine.cpu.tolist() == theirs.cpu.tolist()


def test_the_planetlab_form_is_shares_of_each_guest(tmp_path: Path) -> None:
    """Percent of all its vCPUs, one file per guest."""
    (tmp_path / "b").write_text("50\n100\n")
    (tmp_path / "a").write_text("0\n10\n")
    trace = read_trace(tmp_path)
    assert trace.guests == ("a", "b")
    assert trace.millicores({"b": 4}).tolist() == [[0.0, 100.0], [2000.0, 4000.0]]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "holds no row"),
        ([("yesterday", "a", "1")], "line 2"),
        ([(at(0), "a", "much")], "line 2"),
        ([(at(0), "a", "-4")], "under 0"),
        ([("2026-11-16T00:00:00", "a", "4")], "zone"),
        ([(at(0), "", "4")], "no guest"),
        ([(at(0), "a", "1"), ("2026-11-16T00:00:00.5Z", "a", "1")], "grid"),
    ],
)
def test_what_is_no_trace_is_refused_in_one_line(tmp_path: Path, rows: list[tuple[str, str, str]], words: str) -> None:
    """Naming the file and what is allowed."""
    path = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(InputError, match=words) as refusal:
        read_trace(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_files_of_other_forms_are_refused(tmp_path: Path) -> None:
    """Endings not known, missing columns, files not there, broken archives, unequal files."""
    with pytest.raises(InputError, match="no such trace"):
        read_trace(tmp_path / "none.csv")
    (tmp_path / "t.txt").write_text("x")
    with pytest.raises(InputError, match="allowed"):
        read_trace(tmp_path / "t.txt")
    with pytest.raises(InputError, match="column guest is missing"):
        read_trace(write_csv(tmp_path / "t.csv", [], header="time,cpu_millicores"))
    (tmp_path / "t.tar.gz").write_bytes(b"not one")
    with pytest.raises(InputError, match="archive"):
        read_trace(tmp_path / "t.tar.gz")
    with pytest.raises(InputError, match="same number"):
        planetlab([("a", b"1 2"), ("b", b"1")])
    with pytest.raises(InputError, match="whole numbers"):
        planetlab([("a", b"1 x")])
