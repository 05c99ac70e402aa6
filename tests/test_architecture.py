"""The rules of the house that a machine can check: import direction, no hidden clock or dice, small modules.

The table of who may import whom is the one of the architecture document. Each violation is shown on one line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "cluster": frozenset[str](),
    "collectors": frozenset({"cluster"}),
    "policies": frozenset({"cluster"}),
    "executors": frozenset({"cluster"}),
    "simulator": frozenset({"cluster", "collectors", "executors"}),
    "reports": frozenset({"cluster"}),
    "scheduler": frozenset({"cluster", "collectors", "policies", "executors", "simulator", "reports"}),
}
NOBODY_IMPORTS = frozenset({"tests", "benchmarks", "config", "docs"})

# Rooms where time and chance come in as arguments only, and the rooms inside them that talk to the world.
NO_CLOCK = ("cluster/", "policies/", "scheduler/solver/", "scheduler/solver.py")
CLOCK_ALLOWED = ("cluster/store/", "cluster/connections/", "cluster/clock.py")

HIDDEN_INPUTS = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "time.sleep",
        "time.localtime",
        "time.gmtime",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "os.urandom",
        "uuid.uuid1",
        "uuid.uuid4",
    }
)
# Whole modules of chance; a generator made from a seed is an argument, so these two names are let through.
CHANCE = ("random.", "secrets.", "numpy.random.")
SEEDED = frozenset({"random.Random", "numpy.random.default_rng", "numpy.random.Generator"})

MOST_LINES = 399


def _sources(root: Path) -> Iterator[Path]:
    for package in (*MAY_IMPORT, "tests"):
        yield from sorted((root / package).rglob("*.py"))


def _imports(tree: ast.AST, module: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything a module imports, relative imports resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join((*module.parent.parts[: len(module.parent.parts) - node.level + 1], base)).rstrip(".")
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}" if base else alias.name


def wrong_imports(root: Path) -> list[str]:
    """One line per import that goes against the table, for every package under `root`."""
    found = []
    for path in _sources(root):
        module = path.relative_to(root)
        package = module.parts[0]
        if package not in MAY_IMPORT:
            continue
        for line, name in _imports(ast.parse(path.read_bytes()), module):
            target = name.split(".")[0]
            ours = target in MAY_IMPORT or target in NOBODY_IMPORTS
            if ours and target != package and target not in MAY_IMPORT[package]:
                allowed = ", ".join(sorted(MAY_IMPORT[package])) or "nothing of ours"
                found.append(f"{module}:{line}: {package} imports {name}; it may import {allowed}")
    return sorted(set(found))


def _bound_names(tree: ast.AST) -> dict[str, str]:
    """What each imported name of a module stands for: `{"dt": "datetime.datetime"}`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """The absolute name an expression such as `dt.now` reaches, or "" when it does not start at an import."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    return ".".join((names[node.id], *reversed(parts)))


def _hidden_inputs(tree: ast.AST) -> Iterator[tuple[int, str]]:
    names = _bound_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            name = _dotted(node, names)
            if name in HIDDEN_INPUTS or (name.startswith(CHANCE) and name not in SEEDED):
                yield node.lineno, name
        elif isinstance(node, ast.Call) and not node.args and not node.keywords:
            name = _dotted(node.func, names)
            if name in SEEDED:
                yield node.lineno, f"{name}() without a seed"


def hidden_clocks(root: Path) -> list[str]:
    """One line per use of a clock or of chance in a module that has to be given both."""
    found = []
    for path in _sources(root):
        module = path.relative_to(root)
        if not str(module).startswith(NO_CLOCK) or str(module).startswith(CLOCK_ALLOWED):
            continue
        for line, name in _hidden_inputs(ast.parse(path.read_bytes())):
            found.append(f"{module}:{line}: uses {name}; take a clock or a seeded generator as an argument")
    return sorted(set(found))


def long_modules(root: Path) -> list[str]:
    """One line per module that has grown out of its room."""
    found = []
    for path in _sources(root):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES:
            found.append(f"{path.relative_to(root)}: {lines} lines; split it, {MOST_LINES} is the most")
    return found


def _plant(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _fail_on(found: list[str]) -> None:
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_every_package_is_seen() -> None:
    """Each package of the table exists and has modules, so that the other tests look at something."""
    for package in MAY_IMPORT:
        assert list((ROOT / package).rglob("*.py")), package


def test_imports_go_one_way() -> None:
    """No module imports a package that its own may not know."""
    _fail_on(wrong_imports(ROOT))


def test_time_and_chance_are_arguments() -> None:
    """No module of the deciding rooms reads a clock or rolls dice by itself."""
    _fail_on(hidden_clocks(ROOT))


def test_modules_are_small() -> None:
    """Every module fits its room."""
    _fail_on(long_modules(ROOT))


@pytest.mark.parametrize(
    ("module", "text", "names"),
    [
        ("cluster/a.py", "import scheduler.cli\n", "scheduler.cli"),
        ("cluster/rules/a.py", "from policies import registry\n", "policies.registry"),
        ("policies/a.py", "def f() -> None:\n    from scheduler.cycle import Cycle\n", "scheduler.cycle.Cycle"),
        ("policies/a.py", "from tests.builders import host\n", "tests.builders.host"),
        ("reports/a.py", "if TYPE_CHECKING:\n    from collectors import protocol\n", "collectors.protocol"),
        ("executors/power/a.py", "from ... import simulator\n", "simulator"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, module: str, text: str, names: str) -> None:
    """A planted import against the table is reported once, with its module, line and target."""
    _plant(tmp_path, module, text)
    (found,) = wrong_imports(tmp_path)
    line = len(text.splitlines())
    assert found.startswith(f"{module}:{line}: {module.split('/')[0]} imports {names};")


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("scheduler/a.py", "import reports.text\nfrom simulator import world\n"),
        ("cluster/rules/a.py", "from . import base\nfrom ..host import Host\nfrom cluster.guest import Guest\n"),
        ("tests/a.py", "import scheduler.cli\n"),
        ("collectors/a.py", "import json\nfrom cluster.host import Host\n"),
    ],
)
def test_a_right_import_is_let_through(tmp_path: Path, module: str, text: str) -> None:
    """Imports along the table, inside a package, and of the standard library are no violation."""
    _plant(tmp_path, module, text)
    assert wrong_imports(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import time\nx = time.time()\n", "time.time"),
        ("from time import monotonic as m\nx = m()\n", "time.monotonic"),
        ("import time\ndef f(clock=time.monotonic): ...\n", "time.monotonic"),
        ("from datetime import UTC, datetime\nx = datetime.now(UTC)\n", "datetime.datetime.now"),
        ("import datetime as d\nx = d.datetime.utcnow()\n", "datetime.datetime.utcnow"),
        ("import random\nx = random.random()\n", "random.random"),
        ("from random import shuffle\nshuffle([])\n", "random.shuffle"),
        ("import random\nx = random.Random()\n", "random.Random() without a seed"),
        ("import numpy as np\nx = np.random.rand()\n", "numpy.random.rand"),
    ],
)
@pytest.mark.parametrize("module", ["cluster/a.py", "policies/a.py", "scheduler/solver/a.py"])
def test_a_hidden_clock_is_found(tmp_path: Path, module: str, text: str, name: str) -> None:
    """A planted clock or die in a deciding room is reported with its module, line and name."""
    _plant(tmp_path, module, text)
    (found,) = hidden_clocks(tmp_path)
    assert found.startswith(f"{module}:2: uses {name};")


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("cluster/store/a.py", "import time\nx = time.monotonic()\n"),
        ("cluster/clock.py", "import time\nx = time.monotonic()\n"),
        ("scheduler/daemon.py", "import time\nx = time.monotonic()\n"),
        ("policies/a.py", "import random\ndef f(seed: int) -> random.Random:\n    return random.Random(seed)\n"),
        ("cluster/a.py", "from datetime import datetime\nx = datetime.fromisoformat('2026-01-01')\ntime = x.time()\n"),
    ],
)
def test_a_given_clock_is_let_through(tmp_path: Path, module: str, text: str) -> None:
    """Rooms that talk to the world may read the clock, and a seeded generator is an argument anywhere."""
    _plant(tmp_path, module, text)
    assert hidden_clocks(tmp_path) == []


def test_a_long_module_is_found(tmp_path: Path) -> None:
    """A module of 400 lines is reported and one of 399 is not."""
    _plant(tmp_path, "cluster/long.py", "\n" * 400)
    _plant(tmp_path, "cluster/short.py", "\n" * 399)
    assert long_modules(tmp_path) == ["cluster/long.py: 400 lines; split it, 399 is the most"]
