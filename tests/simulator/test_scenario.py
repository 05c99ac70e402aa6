"""Reading scenario folders, and running them with a loop that only says what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.config.settings import Mode, Settings
from cluster.errors import InputError
from simulator.clock import SimClock
from simulator.replay import run, run_scenario
from simulator.scenario_file import SCENARIO_FILE, load_scenario
from simulator.world import World

SMALL = """schema = "trimtab.scenario/1"
duration_s = 100
{more}
[[hosts]]
ids = ["a", "b"]
cores = 8
memory_gib = 32

[[guests]]
name = "g"
count = 2
host = "a"
memory_gib = 4
cpu_millicores = 500
"""


def write(folder: Path, more: str = "", rest: str = "") -> Path:
    """A scenario folder of two hosts and two guests."""
    (folder / SCENARIO_FILE).write_text(SMALL.format(more=more) + rest)
    return folder


class Parrot:
    """A loop that takes a turn every 40 s, moves one guest in its first, and repeats every command."""

    def __init__(self, world: World, settings: Settings, clock: SimClock) -> None:
        self._world, self._clock = world, clock
        self._said = [f"born in mode {settings.scheduler.mode} with {len(settings.hosts)} hosts"]
        self.next_due_s = clock.monotonic_s()

    def step(self) -> None:
        if self._world.location("g-1") == ("a",):
            self._world.start_migration("g-1", "a", "b")
        self._said.append("01M83XJ88ADMPSEVXDT24FJE9P turns")
        self.next_due_s = self._clock.monotonic_s() + 40

    def command(self, verb: str, argument: str) -> None:
        self._said.append(f"{verb}! {argument}!")

    def take_lines(self) -> list[str]:
        said, self._said = self._said, []
        return said

    def close(self) -> None:
        self._said.append("gone")


def test_a_run_tells_world_loop_and_people_in_order_of_virtual_time(tmp_path: Path) -> None:
    """Commands come at their times, a crash brings a new loop, the log ends with how the world stands."""
    commands = """
[[commands]]
at_s = 60
verb = "drain"
argument = "a"

[[commands]]
at_s = 70
verb = "crash"
"""
    assert run_scenario(write(tmp_path, rest=commands), Parrot) == [
        "0:00:00 loop   born in mode act with 2 hosts",
        "0:00:00 world  migration of g-1 from a to b begins",
        "0:00:00 loop   P1 turns",
        "0:00:02 world  migration of g-1 from a to b done: 3072 MiB in 2.7 s, down 20 ms",
        "0:00:40 loop   P1 turns",
        "0:01:00 person drain a",
        "0:01:00 loop   drain! a!",
        "0:01:10 person crash",
        "0:01:10 loop   born in mode act with 2 hosts",
        "0:01:10 loop   P1 turns",
        "0:01:40 loop   gone",
        "end   a is on, 1 guests: g-2",
        "end   b is on, 1 guests: g-1",
        "end   1 migrations done, 0 not, 1 at once at most",
        "end   no violation",
    ]


def test_the_kill_switch_is_a_file_of_the_run_alone(tmp_path: Path) -> None:
    """There while it is on, and nowhere after the run."""
    seen: list[tuple[str, bool]] = []

    class Looker(Parrot):
        def __init__(self, world: World, settings: Settings, clock: SimClock) -> None:
            super().__init__(world, settings, clock)
            self._switch = settings.gate.kill_switch

        def step(self) -> None:
            super().step()
            seen.append((self._switch, Path(self._switch).exists()))

    commands = "".join(
        f"\n[[commands]]\nat_s = {at}\nverb = 'kill_switch'\nargument = '{to}'\n"
        for at, to in ((20, "on"), (60, "off"))
    )
    run(load_scenario(write(tmp_path, rest=commands)), Looker)
    assert [there for _, there in seen] == [False, True, False]
    assert not Path(seen[0][0]).exists()


def test_a_scenario_acts_at_once_unless_it_says_otherwise(tmp_path: Path) -> None:
    """Its own settings win over a scenario's defaults, which win over Trimtab's."""
    chosen = load_scenario(write(tmp_path, rest="\n[settings.scheduler]\nlevel = 5\n[settings.gate]\nmax_moves = 3\n"))
    assert (chosen.settings.scheduler.mode, chosen.settings.scheduler.level) == (Mode.ACT, 5)
    assert (chosen.settings.gate.quiet_start_s, chosen.settings.gate.max_moves) == (0.0, 3)
    assert chosen.settings.migration == Settings().migration


def test_the_demo_and_a_cluster_file_are_clusters_too(tmp_path: Path) -> None:
    """Exactly one of the ways to say what the cluster is."""
    (tmp_path / SCENARIO_FILE).write_text(
        'schema = "trimtab.scenario/1"\nduration_s = 1\n[demo]\nhosts = 3\nguests = 10\n'
    )
    world = load_scenario(tmp_path).world(SimClock(load_scenario(tmp_path).start))
    assert (len(world.hosts), len(world.guests)) == (3, 10)
    (tmp_path / SCENARIO_FILE).write_text('schema = "trimtab.scenario/1"\nduration_s = 1\n')
    with pytest.raises(InputError, match="0 clusters; allowed: one cluster"):
        load_scenario(tmp_path)


@pytest.mark.parametrize(
    ("more", "rest", "message"),
    [
        ("durations = 1", "", "durations: found an unknown key.*did you mean duration_s"),
        ("seed = -1", "", "seed: found -1; allowed: a whole number from 0"),
        (
            "",
            "[[faults]]\nat_s = 1\nkind = 'host_loss'\n",
            r"faults\[0\].kind: found .host_loss.*did you mean .host_lost",
        ),
        ("", "[[faults]]\nat_s = 1\nkind = 'host_lost'\n", r"faults\[0\].*needs a host"),
        ("", "[[faults]]\nat_s = 1\nkind = 'host_lost'\nhost = 'c'\n", r"faults\[0\].host: found .c."),
        ("", "[[faults]]\nat_s = 1\nkind = 'guest_dies'\nguest = 'g-3'\n", r"faults\[0\].guest: found .g-3."),
        ("", "[[faults]]\nat_s = 1\nkind = 'target_dies'\n", r"faults\[0\].*needs a ratio"),
        ("", "[[commands]]\nat_s = 1\nverb = 'pauze'\n", r"commands\[0\].verb.*did you mean .pause"),
        ("", "[[guests]]\nname='x'\nhost='z'\nmemory_gib=1\ncpu_millicores=1\n", r"guests\[1\].host: found .z."),
        ("", "[[guests]]\nname='g-1'\nhost='a'\nmemory_gib=1\ncpu_millicores=1\n", "found the guest g-1 twice"),
        ("", "[settings.gates]\nmax_moves = 1\n", "settings.gates: found an unknown key.*did you mean gate"),
        ("", "[settings.gate]\nmax_moves = 'x'\n", "settings.gate.max_moves: found"),
    ],
)
def test_a_bad_scenario_is_refused_on_one_line_with_its_place(
    tmp_path: Path, more: str, rest: str, message: str
) -> None:
    """File, path inside it, what was found, what is allowed."""
    with pytest.raises(InputError, match=message) as refused:
        load_scenario(write(tmp_path, more, rest))
    assert str(refused.value).startswith(f"{tmp_path / SCENARIO_FILE}: ")
    assert "\n" not in str(refused.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """One line that names the file."""
    with pytest.raises(InputError, match="cannot be read"):
        load_scenario(tmp_path / "nowhere")


def test_a_trace_of_strangers_is_refused(tmp_path: Path) -> None:
    """One line that names the file; a trace beside a cluster file is refused, too."""
    text = """schema = "trimtab.scenario/1"
duration_s = 60
trace = "loads.csv"
[[hosts]]
ids = ["a"]
cores = 4
memory_gib = 8
[[guests]]
name = "g"
host = "a"
memory_gib = 1
cpu_millicores = 100
"""
    (tmp_path / SCENARIO_FILE).write_text(text)
    (tmp_path / "loads.csv").write_text("time,guest,cpu_millicores\n2026-11-23T10:00:00Z,stranger,5\n")
    scenario = load_scenario(tmp_path)
    with pytest.raises(InputError, match=r"loads\.csv: none of the 1 guests"):
        scenario.world(SimClock(scenario.start))
    (tmp_path / SCENARIO_FILE).write_text(
        'schema = "trimtab.scenario/1"\nduration_s = 60\ntrace = "loads.csv"\ncluster_file = "c.json"\n'
    )
    with pytest.raises(InputError, match="trace"):
        load_scenario(tmp_path)
