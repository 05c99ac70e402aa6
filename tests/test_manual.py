"""The manual keeps to the program: its examples load; its verbs, files, names and configuration keys exist."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.config.loader import load_settings
from cluster.config.sections import SECTIONS
from cluster.config.settings import Settings
from cluster.formats.metadata_rules import metadata_rules
from cluster.guest import Guest, Usage
from collectors.metadata import read_metadata
from scheduler.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGES = ("benchmarks", "cluster", "collectors", "config", "docs", "executors", "policies", "reports", "scheduler",
            "simulator", "tests")  # fmt: skip


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def ticked(page: Path) -> Iterator[str]:
    """What stands between single backticks on a page, code blocks left out."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", text)


def settings_of(text: str, tmp_path: Path) -> Settings:
    """A configuration's text, loaded."""
    path = tmp_path / "trimtab.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path).settings


def test_the_configuration_of_the_readme_loads(tmp_path: Path) -> None:
    """What a newcomer copies is right, and names hosts that can be acted on."""
    (text,) = blocks(ROOT / "README.md", "toml")
    settings = settings_of(text, tmp_path)
    assert len(settings.hosts) == 2
    assert all(host.uri and host.migration_address for host in settings.hosts)


def test_the_rules_of_the_manual_load(tmp_path: Path) -> None:
    """The example of each rule kind is right, and no kind is left out."""
    (text,) = blocks(ROOT / "docs" / "rules.md", "toml")
    assert {rule.kind for rule in settings_of(text, tmp_path).rules} == {
        *("anti_affinity", "affinity", "spread", "pin", "forbid", "near", "group_move_limit", "ignore"),
    }


def test_the_metadata_of_the_manual_is_understood() -> None:
    """The example of a guest's metadata says what the page says it does."""
    (text,) = blocks(ROOT / "docs" / "rules.md", "xml")
    found = read_metadata(ET.fromstring(f"<domain>{text}</domain>"))
    assert (found.problems, found.ignore, found.priority, found.migration.max_downtime_ms) == ((), True, 5, 100)
    guest = Guest(id="g", host="h", vcpus=1, memory_mib=1, usage=Usage(None), labels=found.labels)
    rules, problems = metadata_rules([guest])
    assert ([rule.title for rule in rules], problems) == (["anti_affinity:web-apart", "pin:licence"], ())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    """Verbs, files, names in files, links and configuration keys of a page exist."""
    verbs = {verb.name for verb in VERBS}
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^    |`|'|: )trimtab ([a-z-]+)", text, re.MULTILINE))
    assert named <= verbs, named - verbs
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link
    for name, file in re.findall(r"`(\w+)` in `([\w/.]+\.py)`", text):
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text(encoding="utf-8")), (name, file)
    for word in ticked(page):
        path = word.split(":")[0].split(" ")[0]
        if path.partition("/")[0] in PACKAGES and "/" in path and "NAME" not in path and "*" not in path:
            assert (ROOT / path).exists(), path
        section, dot, key = word.partition(" ")[0].partition(".")
        if dot and section in SECTIONS and re.fullmatch(r"[a-z_]+", key) and key not in ("py", "toml"):
            assert key in SECTIONS[section].keys, word


def test_the_readme_names_every_verb() -> None:
    """The table of verbs is whole."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = text.partition("| verb |")[2].partition("\n\n")[0]
    first_cells = re.findall(r"^\| ([^|]+) \|", rows, re.MULTILINE)
    assert set(re.findall(r"`([a-z-]+)`", " ".join(first_cells))) == {verb.name for verb in VERBS}
