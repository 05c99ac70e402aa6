"""Where compiled code is kept: read by all, written by who can, never stale, and not missed where it cannot be."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from numba import njit

from scheduler.solver.kernels.compiled import entry
from scheduler.solver.kernels.kept import SOLVER, KeptCode, _source, digest_of, folders, sources_of, trusted


def triple(number: int) -> int:
    """Three times a number."""
    return 3 * number


def started(*places: Path) -> Any:
    """A process that starts anew: a dispatcher that has compiled nothing yet, called once."""
    dispatcher = njit(triple)
    dispatcher._cache = KeptCode(triple, places)
    assert dispatcher(14) == 42
    return dispatcher.stats


def nowhere(tmp_path: Path) -> Path:
    """A folder that nobody can make, root neither: it would be inside a file."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "cache"


def test_a_second_start_loads_what_the_first_compiled(tmp_path: Path) -> None:
    """The first start compiles and keeps, the second compiles nothing."""
    assert sum(started(tmp_path).cache_misses.values()) == 1
    again = started(tmp_path)
    assert sum(again.cache_hits.values()) == 1
    assert not again.cache_misses


def test_an_installation_is_read_before_the_own_folder(tmp_path: Path) -> None:
    """What the installation keeps is used, and nothing is written to the user's own folder."""
    shared, own = tmp_path / "shared", tmp_path / "own"
    started(shared)
    assert sum(started(shared, own).cache_hits.values()) == 1
    assert not own.exists()


def test_who_cannot_write_to_the_installation_keeps_code_in_the_own_folder(tmp_path: Path) -> None:
    """A folder that cannot be made is passed over, when writing and when reading."""
    shared, own = nowhere(tmp_path), tmp_path / "own"
    assert sum(started(shared, own).cache_misses.values()) == 1
    assert sum(started(shared, own).cache_hits.values()) == 1


def test_where_nothing_can_be_written_code_runs_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is compiled at each start, and that is said once in a process."""
    shared = nowhere(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert sum(started(shared).cache_misses.values()) == 1
    assert [str(shared) in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_damaged_file_is_compiled_anew_and_mended(tmp_path: Path, keep: int) -> None:
    """A file cut short, as a machine that lost its power leaves it, counts as not there."""
    started(tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:keep])
    assert sum(started(tmp_path).cache_misses.values()) == 1
    assert sum(started(tmp_path).cache_hits.values()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_code_in_a_folder_of_somebody_else_is_not_run(tmp_path: Path) -> None:
    """Neither root's, nor the program's owner's, nor one's own: not read."""
    started(tmp_path)
    os.chown(tmp_path, SOLVER.stat().st_uid + 12345, -1)
    assert not trusted(tmp_path)
    assert sum(started(tmp_path).cache_misses.values()) == 1


def test_an_edit_in_what_is_compiled_into_a_kernel_names_other_code(tmp_path: Path) -> None:
    """Also one at second hand; one in a module that has nothing to do with kernels or that it does not import: not."""

    def digest() -> str:
        _source.cache_clear()
        return digest_of(sources_of(tmp_path / "kernels/anneal.py", tmp_path))

    modules = {
        "kernels/anneal.py": "from scheduler.solver.kernels.cost import price\nfrom scheduler.solver.near import A\n",
        "kernels/cost.py": "from scheduler.solver.instance import Instance\n",
        "kernels/other.py": "from scheduler.solver.kernels.anneal import anneal\n",
        "near.py": "from scheduler.solver.kernels.compiled import compiled\n",
        "instance.py": "",
    }
    (tmp_path / "kernels").mkdir()
    for name, text in modules.items():
        (tmp_path / name).write_text(text)
    before = digest()
    for name, text in modules.items():
        (tmp_path / name).write_text(text + "# edited\n")
        assert (digest() != before) == (name in ("kernels/anneal.py", "kernels/cost.py", "near.py")), name
        (tmp_path / name).write_text(text)
        assert digest() == before


def test_the_sources_of_a_kernel_are_those_of_all_that_is_compiled_into_it() -> None:
    """What the search's walk calls, down to the cost of a host."""
    names = {path.name for path in sources_of(SOLVER / "kernels" / "anneal.py")}
    assert {"anneal.py", "compiled.py", "cost.py", "dice.py", "groups.py", "moves.py", "state.py"} < names


def test_the_folders_are_the_installations_and_then_the_users() -> None:
    """A service has a folder of its own from systemd; one given by hand stands for all."""
    prefix, user = Path("/opt/venv"), {"HOME": "/home/a"}
    shared = prefix / "cache/trimtab"
    assert folders(prefix, user) == (shared, Path("/home/a/.cache/trimtab"))
    assert folders(prefix, user | {"XDG_CACHE_HOME": "/x"}) == (shared, Path("/x/trimtab"))
    assert folders(prefix, user | {"CACHE_DIRECTORY": "/var/cache/trimtab:/b"}) == (shared, Path("/var/cache/trimtab"))
    assert folders(prefix, user | {"NUMBA_CACHE_DIR": "/n"}) == (Path("/n/trimtab"),)
    assert folders(prefix, {}) == (shared,)


def test_compiled_code_cannot_call_what_python_calls() -> None:
    """Kept code comes without what would be compiled into the caller: better refused than wrong."""

    @entry
    def inner(a: int) -> int:
        return a + 1

    @entry
    def outer(a: int) -> int:
        return inner(a) + 1

    with pytest.raises(TypeError, match="inner, which is an `entry`: give it a `compiled` one"):
        outer(1)
