"""The last look by a host's agent: who may ask, what is found, and a door that libvirt's hook finds shut."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.config.power import StartsBlocked
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.errors import HostUnreachableError, RefusedError, StepError
from cluster.plan import PlanState, StepRecord, StepState
from cluster.store.memory import MemoryStore
from executors.power.door import READY, Door
from executors.power.rooms import ANSWER, ASK, AgentRoom, RemoteRoom, read_answer, read_ask
from tests.executors.power.site import sleep
from tests.executors.world import ManualClock, plan

HOOK = Path(__file__).resolve().parents[3] / "config" / "libvirt-hook"


class Domain:
    """An active guest."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


class Libvirt:
    """A host's libvirt, with these active guests."""

    def __init__(self, *guests: str) -> None:
        self.guests = list(guests)
        self.error: Exception | None = None
        self.looks: list[bool] = []
        self.door: Path | None = None

    def call(self, what: str, function: Any, deadline_s: float | None = None) -> Any:
        self.looks.append(self.door is not None and self.door.exists())
        if self.error is not None:
            raise self.error
        return function(self)

    def listAllDomains(self, flags: int) -> list[Domain]:  # noqa: N802 - libvirt's name
        assert flags == 1
        return [Domain(name) for name in self.guests]

    def close(self) -> None:
        """Nothing is held."""


class Scene:
    """A step that puts `h1` to sleep, under way; its agent with its door."""

    def __init__(self, tmp_path: Path, *guests: str, hooked: bool = True) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.libvirt = Libvirt(*guests)
        self.file = self.libvirt.door = tmp_path / "run" / "no-starts"
        hook, daemon = tmp_path / "hook", tmp_path / "libvirtd.pid"
        if hooked:
            hook.write_bytes(HOOK.read_bytes())
            hook.chmod(0o755)
        daemon.write_text("1", encoding="utf-8")
        connection: LibvirtConnection = self.libvirt  # type: ignore[assignment]  # what a door uses of one
        self.door = Door("h1", connection, self.clock, self.file, (hook,), (daemon,))
        lease = self.store.acquire_lease("a", 60.0)
        assert lease is not None
        self.token = lease.token
        made = replace(plan(sleep()), expires_at=self.clock.now() + timedelta(hours=1))
        self.store.open_plan(made, PlanState.ACTIVE, self.token, self.clock.now())
        running = StepRecord(StepState.RUNNING, self.clock.now(), self.token)
        self.store.write_step("p1", "s1", StepState.WAITING, running)

    def room(self, starts_blocked: StartsBlocked = StartsBlocked.PREFER, agent: bool = True) -> AgentRoom:
        """The room, with the agent at work whenever somebody waits."""

        def wait(seconds: float) -> None:
            self.clock.sleep(seconds)
            if agent:
                self.door.look(self.store)

        return AgentRoom(self.store, self.clock, starts_blocked, 20.0, 600.0, wait)

    def words(self) -> list[str]:
        """The words of the step in the journal."""
        return [entry.state for entry in self.store.journal(50) if entry.step == "s1"]


def test_an_empty_host_is_cleared_with_its_door_shut(tmp_path: Path) -> None:
    """Shut first, looked through afterwards, written down with the asker's token; nothing remains open."""
    scene = Scene(tmp_path)
    assert scene.room().clear("h1", "s1") == ""
    assert (scene.libvirt.looks, scene.file.exists()) == ([True], True)
    assert READY in scene.words()
    # Answered once: later rounds of the agent change nothing.
    scene.door.look(scene.store)
    assert scene.libvirt.looks == [True]


def test_the_door_is_opened_before_the_host_reports_again(tmp_path: Path) -> None:
    """Once nobody holds it shut, the next round opens it."""
    scene = Scene(tmp_path)
    room = scene.room()
    room.clear("h1", "s1")
    room.leave("h1")
    scene.door.look(scene.store)
    assert not scene.file.exists()


def test_a_host_with_a_guest_is_refused(tmp_path: Path) -> None:
    """By name, and guests may be started again at once."""
    scene = Scene(tmp_path, "web-1")
    with pytest.raises(RefusedError, match="host h1: web-1 is active there"):
        scene.room().clear("h1", "s1")
    assert (scene.libvirt.looks, scene.file.exists()) == ([True], False)
    assert READY not in scene.words()


@pytest.mark.parametrize("error", [HostUnreachableError("no answer"), StepError("libvirt says no")])
def test_an_agent_that_cannot_look_refuses(tmp_path: Path, error: Exception) -> None:
    """Not seen is not empty."""
    scene = Scene(tmp_path)
    scene.libvirt.error = error
    with pytest.raises(RefusedError, match="its agent cannot look"):
        scene.room().clear("h1", "s1")
    assert not scene.file.exists()


def test_a_door_that_cannot_be_shut_refuses(tmp_path: Path) -> None:
    """Without its file nothing keeps guests off, so nothing is looked at."""
    scene = Scene(tmp_path)
    (tmp_path / "run").write_text("in the way", encoding="utf-8")
    with pytest.raises(RefusedError, match="its agent cannot look"):
        scene.room().clear("h1", "s1")
    assert scene.libvirt.looks == []


def test_an_agent_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """After its time nobody has looked, and nobody goes on."""
    scene = Scene(tmp_path)
    with pytest.raises(HostUnreachableError, match="its agent did not look within 20 s"):
        scene.room(agent=False).clear("h1", "s1")


@pytest.mark.parametrize("how", ["token", "step", "plan", "ended", "deposed"])
def test_only_who_leads_may_ask(tmp_path: Path, how: str) -> None:
    """An ask under another token, for another step, of a plan that is over, or of a deposed leader: refused."""
    scene = Scene(tmp_path)
    ask = read_ask(f'{{"plan": "p1", "step": "s1", "token": {scene.token}, "lasting_s": 60}}')
    assert ask is not None
    match how:
        case "token":
            ask = replace(ask, token=scene.token + 1)
        case "step":
            ask = replace(ask, step="s2")
        case "plan":
            ask = replace(ask, plan="p2")
        case "ended":
            ended = StepRecord(StepState.ABORTED, scene.clock.now(), scene.token)
            scene.store.write_step("p1", "s1", StepState.RUNNING, ended)
        case _:
            scene.clock.sleep(100.0)
            assert scene.store.acquire_lease("b", 60.0) is not None
    scene.store.set_flag(ASK + "h1", ask.text())
    scene.door.look(scene.store)
    answer = read_answer(scene.store.flags()[ANSWER + "h1"])
    assert answer is not None
    assert (answer.ask, answer.why_not) == (ask, "who asked for it does not lead any more")
    assert not scene.file.exists()


@pytest.mark.parametrize("how", ["missing", "newer"])
def test_a_hook_that_libvirt_does_not_ask_is_told(tmp_path: Path, how: str) -> None:
    """Not there, or put there after libvirt's daemon started: said, and refused where it is required."""
    scene = Scene(tmp_path, hooked=how != "missing")
    if how == "newer":
        later = time.time() + 100
        os.utime(tmp_path / "hook", (later, later))
    assert "libvirt hook is not installed there" in scene.room().clear("h1", "s1")
    with pytest.raises(RefusedError, match="libvirt hook is not installed there"):
        scene.room(StartsBlocked.REQUIRED).clear("h1", "s1")


def test_the_agent_tells_whether_there_is_a_hook(tmp_path: Path) -> None:
    """Once, and again when that changes."""
    scene = Scene(tmp_path)
    scene.door.look(scene.store)
    assert scene.store.flags()["power_hook:h1"] == "there"
    (tmp_path / "hook").unlink()
    scene.door.look(scene.store)
    assert "power_hook:h1" not in scene.store.flags()


def test_what_cannot_be_read_is_no_ask() -> None:
    """Whatever stands in a flag, the agent goes on."""
    assert [read_ask(text) for text in (None, "", "[]", "{}", '{"plan": 1}', "x")] == [None] * 6
    assert read_answer('{"ask": {}}') is None


# -- without an agent --------------------------------------------------------------------------------------------------


def test_the_look_from_afar_says_what_remains() -> None:
    """Empty or not it sees; that guests could be started it tells; where that may not be, it refuses."""
    libvirt = Libvirt()
    connections: dict[str, LibvirtConnection] = {"h1": libvirt}  # type: ignore[dict-item]
    room = RemoteRoom(connections, StartsBlocked.PREFER)
    assert "no agent there keeps guests from being started" in room.clear("h1", "s1")
    libvirt.guests = ["a", "b", "c", "d"]
    with pytest.raises(RefusedError, match=r"a, b, c, \.\.\. are active there"):
        room.clear("h1", "s1")
    with pytest.raises(HostUnreachableError, match="it has no uri"):
        room.clear("h2", "s1")
    with pytest.raises(RefusedError, match=r"power\.starts_blocked"):
        RemoteRoom(connections, StartsBlocked.REQUIRED).clear("h1", "s1")


# -- libvirt's hook ----------------------------------------------------------------------------------------------------


def hook(door: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the hook as libvirt does, with its door elsewhere."""
    text = HOOK.read_text(encoding="utf-8")
    assert "door=/run/trimtab/no-starts\n" in text
    script = text.replace("door=/run/trimtab/no-starts\n", f"door={door}\n")
    asked = ["/bin/sh", "-c", script, "hook", *words]
    return subprocess.run(asked, input="<domain/>", capture_output=True, text=True, timeout=10, check=False)


@pytest.mark.parametrize("operation", ["prepare", "migrate", "restore"])
def test_the_hook_keeps_guests_off_while_the_door_is_shut(tmp_path: Path, operation: str) -> None:
    """A start, a guest that comes and one that is restored are refused with a sentence."""
    door = tmp_path / "no-starts"
    door.write_text(f"{int(time.time()) + 60}\nhost h1 is going to sleep\n", encoding="utf-8")
    ended = hook(door, "web-1", operation, "begin", "-")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "Trimtab: host h1 is going to sleep: no guest is started here now\n"


@pytest.mark.parametrize("words", [("started", "begin"), ("stopped", "end"), ("release", "end"), ("prepare", "end")])
def test_the_hook_lets_everything_else_go_on(tmp_path: Path, words: tuple[str, str]) -> None:
    """What is there runs, stops and leaves as ever."""
    door = tmp_path / "no-starts"
    door.write_text(f"{int(time.time()) + 60}\nhost h1 is going to sleep\n", encoding="utf-8")
    assert hook(door, "web-1", *words, "-").returncode == 0


@pytest.mark.parametrize("text", [None, "", "soon\nx\n", "1\nhost h1 is going to sleep\n", "-5\nx\n", "99999999999"])
def test_an_open_outworn_or_broken_door_stops_nobody(tmp_path: Path, text: str | None) -> None:
    """A host must not be closed for ever by a file that nobody looks after."""
    door = tmp_path / "no-starts"
    if text is not None:
        door.write_text(text, encoding="utf-8")
    assert hook(door, "web-1", "prepare", "begin", "-").returncode == 0


def test_the_hook_reads_what_the_agent_writes(tmp_path: Path) -> None:
    """Both sides agree on the file, and on when it opens by itself."""
    scene = Scene(tmp_path)
    scene.room().clear("h1", "s1")
    until, why = scene.file.read_text(encoding="utf-8").splitlines()
    assert (int(until), why) == (int(scene.clock.now().timestamp() + 600), "host h1 is going to sleep")
    # The scene's clock stands in the past: for the hook this door has opened by itself.
    assert hook(scene.file, "web-1", "prepare", "begin", "-").returncode == 0
    scene.file.write_text(f"{int(time.time()) + 60}\n{why}\n", encoding="utf-8")
    assert hook(scene.file, "web-1", "prepare", "begin", "-").returncode == 1


def test_no_start_slips_between_door_and_look(tmp_path: Path) -> None:
    """Starts that race with the look: each one is either seen by it or stopped by the door."""
    for attempt in range(10):
        place = tmp_path / str(attempt)
        place.mkdir()
        scene = Scene(place)
        started: list[str] = []

        def start(scene: Scene = scene, started: list[str] = started, attempt: int = attempt) -> None:
            time.sleep(0.0005 * attempt)
            # As libvirt does it: active first, then the hook; stopped again where the hook says no.
            scene.libvirt.guests.append("late")
            if scene.file.exists():
                scene.libvirt.guests.remove("late")
            else:
                started.append("late")

        racer = threading.Thread(target=start)
        racer.start()
        try:
            scene.room().clear("h1", "s1")
            cleared = True
        except RefusedError:
            cleared = False
        racer.join()
        assert not (cleared and started)
