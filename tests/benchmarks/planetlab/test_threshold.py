"""The plain policy does what its paper says, on a few hosts."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planetlab.calibration import vanishing
from benchmarks.planetlab.setting import HOSTS, begin, kinds, wanted_mips
from benchmarks.planetlab.threshold import Threshold, net
from benchmarks.planetlab.trace import SLOTS, read_day
from cluster.errors import InputError


def on(**places: list[int]) -> list[list[int]]:
    """Guests by host, `h1=[0, 1]`."""
    return [places.get(f"h{number}", []) for number in range(HOSTS)]


def test_an_overloaded_host_gives_up_its_guests_of_least_ram() -> None:
    """2500 of 4000 MIPS may stay: both of 613 MiB go, and the first of those of 870 MiB."""
    wanted = np.array([500.0] * 8)
    policy = Threshold(on(h0=list(range(8)), h1=[]))
    moves = policy.decide(wanted)
    assert {guest for guest, _, _ in moves} == {6, 7, 0}
    assert all(source == 0 for _, source, _ in moves)


def test_the_least_used_host_is_emptied_when_all_its_guests_fit() -> None:
    """What cannot be emptied stays as it is, whole."""
    wanted = np.array([300.0, 100.0, 100.0, 100.0])
    moves = Threshold(on(h1=[0], h3=[1, 2, 3])).decide(wanted)
    assert {source for _, source, _ in moves} in ({1}, {3})
    assert len({source for _, source, _ in moves}) == 1
    full = np.array([1800.0, 1800.0, 1800.0, 1800.0])
    assert Threshold(on(h1=[0, 1], h3=[2, 3])).decide(full) == []


def test_guests_that_move_twice_at_once_count_once_on_the_cluster() -> None:
    """From the first source to the last target."""
    assert net([(1, 0, 2), (3, 4, 5), (1, 2, 6)]) == [(1, 0, 6), (3, 4, 5)]


def test_guests_begin_where_they_fit() -> None:
    """Cores fast enough, memory and MIPS kept."""
    places = begin(40)
    for number, (host, kind) in enumerate(zip(places, kinds(40), strict=True)):
        assert kind not in (0, 1) or host % 2 == 1, number
    assert len(places) == 40


def test_who_wants_nothing_twice_running_vanishes() -> None:
    """One sample of 0 is passed over in a moment; two are not."""
    use = np.array([[0.1, 0.0, 0.2, 0.0, 0.0], [0.1, 0.1, 0.1, 0.1, 0.1]])
    assert vanishing(use) == [set(), set(), set(), {0}, {0}]
    assert wanted_mips(use)[1].tolist() == [200.0] * 5


def test_a_day_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    """Whatever the archive's order is; a file of another length is refused by name."""
    path = tmp_path / "20110303.tar.gz"
    write(path, {"d/b": [7] * SLOTS, "d/a": [50] * SLOTS})
    assert read_day(tmp_path, "20110303")[:, 0].tolist() == [0.5, 0.07]
    write(path, {"d/a": [1] * 3})
    with pytest.raises(InputError, match="d/a: 3 values"):
        read_day(tmp_path, "20110303")
    with pytest.raises(InputError, match="no such file"):
        read_day(tmp_path, "20110306")


def write(path: Path, files: dict[str, list[int]]) -> None:
    """Write an archive of a day."""
    with tarfile.open(path, "w:gz") as archive:
        for name, values in files.items():
            content = "\n".join(map(str, values)).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
