"""Packing instances are read whole or refused, sampled by a fixed rule, and every bin is checked."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.packing.evaluate import bins, broken, first_fit
from benchmarks.packing.instance import FAMILIES, Packing, read_archive, read_known, read_packing, read_sample, sample
from cluster.errors import InputError
from tests.benchmarks.data import data_folder

TEXT = "2\n10 20\n3\n6 5 2\n4 15 1\n1 1 0\n"
"""Bins of (10, 20); two items of (6, 5), one of (4, 15), none of (1, 1)."""


def tiny() -> Packing:
    """The instance above, read."""
    return read_packing(TEXT, "here", "new", "class1_3_2_0")


def write_archive(path: Path, *texts: tuple[str, str]) -> None:
    """Write an archive of instances."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts:
            member = tarfile.TarInfo(f"class1/{name}.vbp")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode("ascii")))


def test_a_kind_stands_for_as_many_items_as_it_says() -> None:
    """Kinds are laid out one item after the other; a kind of none leaves nothing."""
    assert tiny().capacity.tolist() == [10, 20]
    assert tiny().sizes.tolist() == [[6, 5], [6, 5], [4, 15]]


def test_bins_are_counted_and_checked_in_every_dimension() -> None:
    """Full to the brim is kept; one unit more in one dimension is not."""
    assert broken(tiny(), np.array([0, 7, 0])) is None
    assert bins(tiny(), np.array([0, 7, 0])) == 2
    assert broken(tiny(), np.array([3, 3, 1])) == "capacity of bin 3, dimension 0: found 12; allowed: 10"
    assert broken(tiny(), np.array([0, 1])) == "length: found 2 bins; allowed: one for each of 3 items"
    assert broken(tiny(), np.array([0, -1, 1])) == "bin of item 1: found -1; allowed: 0 and more"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("10 20\n3", "10 0\n3", "line 2, field 2: capacity of a bin: found 0; allowed: 1 to"),
        ("4 15 1", "4 21 1", "line 5, field 2: size of an item: found 21; allowed: 0 to 20"),
        ("4 15 1", "4 15", "ends early at sizes and number of an item kind"),
        ("1 1 0", "1 1 0 0", "line 6, field 4: the end"),
        ("4 15 1", "4 1.5 1", "line 5, field 2: a number of the file: found 1.5"),
    ],
)
def test_a_malformed_instance_is_refused_by_line_and_field(old: str, new: str, says: str) -> None:
    """The refusal is one line with the place, what was found and what is allowed."""
    with pytest.raises(InputError) as refused:
        read_packing(TEXT.replace(old, new), "here", "new", "x")
    assert says in str(refused.value) and str(refused.value).startswith("here") and "\n" not in str(refused.value)


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=30))
def test_first_fit_breaks_nothing_and_leaves_no_two_bins_that_fit_in_one(sizes: list[tuple[int, int]]) -> None:
    """The yardstick is a packing, and a first-fit one: no two of its bins could be one."""
    packing = Packing("new", "x", np.array([10, 10]), np.array(sizes, dtype=np.int64))
    placement = first_fit(packing)
    assert broken(packing, placement) is None
    used = [packing.sizes[placement == one].sum(axis=0) for one in np.unique(placement)]
    assert not any((a + b <= 10).all() for i, a in enumerate(used) for b in used[:i])


def test_the_sample_is_spread_over_the_numbers_in_the_names_in_any_order() -> None:
    """Sorted as numbers, not as text; the same whatever order the names come in."""
    names = [f"class1_{items}_{number}" for items in (20, 120, 500) for number in range(10)]
    chosen = sample(names, 3)
    assert chosen == ["class1_20_5", "class1_120_5", "class1_500_5"]
    assert sample(names[::-1], 3) == chosen
    assert sample(names, 30) == names


def test_the_sample_of_a_class_comes_with_what_is_known(tmp_path: Path) -> None:
    """Archive and table are joined by name; an unknown optimum is `None`."""
    write_archive(tmp_path / FAMILIES["new"], ("class1_3_2_0", TEXT))
    (tmp_path / "new_known.csv").write_text(
        "instance_name\tLB\tOPT\tbest_overall\nclass1_3_2_0\t2\t-1\t3\n", encoding="utf-8"
    )
    ((packing, known),) = read_sample(tmp_path, "new")["class1"]
    assert packing.name == "class1_3_2_0"
    assert (known.lower_bound, known.optimum, known.best_overall) == (2, None, 3)


def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    """A missing table, archive or instance and a malformed table are refused."""
    with pytest.raises(InputError, match=r"new_known\.csv: no such file"):
        read_known(tmp_path, "new")
    with pytest.raises(InputError, match="no such file"):
        read_archive(tmp_path / "new.tar.gz", "new", {"class1_3_2_0"})
    write_archive(tmp_path / "new.tar.gz", ("class1_3_2_1", TEXT))
    with pytest.raises(InputError, match=r"no class1_3_2_0\.vbp in it"):
        read_archive(tmp_path / "new.tar.gz", "new", {"class1_3_2_0"})
    (tmp_path / "new_known.csv").write_text("instance_name\tLB\tOPT\nclass1_3_2_0\t2\t-1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"new_known\.csv, line 2"):
        read_known(tmp_path, "new")


def test_the_public_classes_have_the_sample_and_bounds_below_the_best() -> None:
    """Eight classes of 25; no published packing has fewer bins than its bound."""
    for family, classes in (("panigrahy", 5), ("new", 3)):
        found = read_sample(data_folder("vbp"), family)
        assert [len(ones) for ones in found.values()] == [25] * classes
        assert all(known.lower_bound <= known.best_overall for ones in found.values() for _, known in ones)
