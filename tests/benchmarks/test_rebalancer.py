"""The worker's input and output and the environment of Meta's package, with stand-ins for Python and the package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.generate import generate
from benchmarks.rebalancer import Search, environment, run_rebalancer
from cluster.errors import InputError

PACKAGE = """\
class ProblemSolver:
    def __init__(self, **names):
        self.seen = []

    def __getattr__(self, name):
        return lambda *arguments: self.seen.append((name, arguments)) or self

    def solve(self):
        on = dict(self.seen)["set_assignment"][0]
        last = sorted(on)[-1]
        return {"assignment": {guest: last for guests in on.values() for guest in guests}}
"""


def environment_with(folder: Path, package: str) -> Path:
    """An environment's Python that finds a stand-in for the package and nothing else of ours."""
    home = folder / "packages"
    home.mkdir()
    (home / "rebalancer.py").write_text(package, encoding="utf-8")
    inside = folder / "bin" / "python"
    inside.parent.mkdir()
    start = f"import sys, runpy; sys.path.insert(0, {str(home)!r}); runpy.run_path(sys.argv[1], run_name='__main__')"
    inside.write_text(
        f"""#!/bin/sh
[ "$2" = -c ] && exec {sys.executable} -c "import sys; sys.path.insert(0, '{home}'); $3"
exec {sys.executable} -I -c "{start}" "$2"
""",
        encoding="utf-8",
    )
    inside.chmod(0o755)
    return inside


def test_every_guest_comes_back_with_its_host(tmp_path: Path) -> None:
    """The worker hands the cluster over and the answer back as plain JSON."""
    inside = environment_with(tmp_path, PACKAGE)
    assert environment(tmp_path, None) == inside
    snapshot = generate(3, 6)
    found = run_rebalancer(snapshot, inside, Search(swaps=True, stop_after_moves=5))
    assert found.hosts == {guest.id: "host-0002" for guest in snapshot.guests}
    assert found.wall_s >= 0 and found.cpu_s >= 0


def test_a_package_that_cannot_be_installed_is_told_in_one_line(tmp_path: Path) -> None:
    """The refusal says so plainly, with the installer's own last words."""
    inside = tmp_path / "bin" / "python"
    inside.parent.mkdir()
    inside.write_text("#!/bin/sh\necho first >&2\necho no such package >&2\nexit 1\n", encoding="utf-8")
    inside.chmod(0o755)
    with pytest.raises(InputError) as refused:
        environment(tmp_path, None)
    assert str(refused.value) == "rebalancer==1.0.4 could not be installed: no such package"
