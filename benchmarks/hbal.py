"""Ganeti's cluster balancer `hbal`, run on a snapshot through its text format, its answers kept in a folder.

What goes in (formats: htools(1) and hbal(1)), and why:

- Nodes and instances go into the text file (`-t`) with memory in MiB. Instances are of disk template `ext`, storage
  that every node reaches, so that a step of hbal is one live migration, as a step of trimtab's is.
- CPU load goes in by the dynamic utilisation file (`-U`: name, CPU, memory, disk, network). hbal adds up the loads of
  a node as they are, so a guest's load is its use over the capacity of a host; hosts must be alike. Memory, disk and
  network load are 0: left out, they would be 1 for each guest, and hbal would even out the number of guests too.
- hbal's score is a weighted sum of deviations over nodes. Printed with `-v -v`, the weights of version 3.0.2 are 0.5
  for free memory now and 0.5 for free memory with guests still to be created (none here), so 1 for memory, and 1 for
  dynamic CPU load: the score is the sum of the two deviations that are compared. The other terms are nothing here:
  each guest has one vCPU of a node's million, no disk, one spindle.
- `-g 0` makes it take every step that gains; by default it would stop at small gains. `-l` caps the steps.
- hbal knows no limit of 80 % CPU and none on vCPUs here, which trimtab keeps to. That is in hbal's favour.
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.errors import InputError, TrimtabError
from cluster.snapshot import Snapshot

INSTALLED = Path("/usr/lib/ganeti/3.0/usr/bin/hbal")
"""Where Debian's ganeti-htools-3.0 puts it, off the search path."""

_STEP = re.compile(r"^\s*\d+\. (?P<guest>\S+) (?P<source>\S+)\s+=> (?P<target>\S+)\s")
_WIDE = "128,1,1024,1,1,1|128,1,1024,1,1,1;9999999,1000,1048576,16,8,12|ext|4.0|100000.0"
_FREE_VCPUS = 1_000_000
_NO_TAGS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HbalRun:
    """Where the guests that moved ended, the steps taken, seconds of wall clock and CPU; `stopped` by the limit."""

    hosts: dict[str, str]
    steps: int
    wall_s: float
    cpu_s: float
    stopped: bool


def text_data(snapshot: Snapshot) -> str:
    """Return the cluster in Ganeti's text format: groups, nodes, instances, cluster tags, policies."""
    used = {host.id: 0 for host in snapshot.hosts}
    for guest in snapshot.guests:
        used[guest.host] += guest.memory_mib + guest.overhead_mib
    nodes = []
    for i, host in enumerate(snapshot.hosts):
        total = host.memory_mib - host.reserved.memory_mib
        role = "N" if i else "M"
        nodes.append(f"{host.id}|{total}|0|{total - used[host.id]}|1000|1000|{_FREE_VCPUS}|{role}|g-1|1")
    guests = [
        f"{guest.id}|{guest.memory_mib + guest.overhead_mib}|0|1|running|Y|{guest.host}||ext||1"
        for guest in snapshot.guests
    ]
    policies = [f"|{_WIDE}", f"default|{_WIDE}"]
    lines = ["default|g-1|preferred||", "", *nodes, "", *guests, "", *_NO_TAGS, "", *policies]
    return "\n".join(lines) + "\n"


def utilisation(snapshot: Snapshot) -> str:
    """Return the dynamic utilisation file. Raises `InputError` when hosts differ in CPU."""
    room = {host.cpu_millicores - host.reserved.cpu_millicores for host in snapshot.hosts}
    if len(room) != 1:
        raise InputError(f"hosts of {len(room)} CPU capacities; hbal adds loads up as they are, so hosts must be alike")
    whole = room.pop()
    return "".join(f"{guest.id} {(guest.usage.cpu_millicores or 0) / whole:.9f} 0 0 0\n" for guest in snapshot.guests)


def find_hbal(given: Path | None) -> Path:
    """Return the program: the one given, the one on the search path, or Debian's own place."""
    on_path = shutil.which("hbal")
    found = given or (Path(on_path) if on_path else INSTALLED)
    if not found.exists():
        raise InputError(f"{found}: no hbal; install the package ganeti-htools-3.0, or give --hbal PROGRAM")
    return found


def run_hbal(
    snapshot: Snapshot, steps: int, program: Path | None, cache: Path | None, time_limit_s: float | None
) -> HbalRun:
    """Run hbal, or return what it answered to the same input before; stopped runs are not kept.

    A run stopped by the limit counts with the steps it had told. Raises `TrimtabError` when hbal fails.
    """
    data, load = text_data(snapshot), utilisation(snapshot)
    key = hashlib.sha256(f"{data}\0{load}\0{steps}".encode()).hexdigest()[:16]
    kept = cache / f"hbal-{key}.json" if cache else None
    if kept and kept.exists():
        return HbalRun(**json.loads(kept.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory(prefix="trimtab-hbal-") as name:
        folder = Path(name)
        (folder / "data").write_text(data, encoding="utf-8")
        (folder / "load").write_text(load, encoding="utf-8")
        command = [str(find_hbal(program)), "-t", "data", "-U", "load", "-l", str(steps), "-g", "0"]
        found = _run(command, folder, time_limit_s)
    if kept and not found.stopped:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def final_hosts(said: str) -> tuple[dict[str, str], int]:
    """Return where each guest that hbal moved ends, and the number of steps, from what it printed."""
    hosts, steps = {}, 0
    for step in filter(None, map(_STEP.match, said.splitlines())):
        hosts[step["guest"]] = step["target"]
        steps += 1
    return hosts, steps


def _run(command: list[str], folder: Path, time_limit_s: float | None) -> HbalRun:
    before, began_s, stopped = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), False
    told = folder / "told"
    with told.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        try:
            process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            stopped = True
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    wall_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = told.read_text(encoding="utf-8")
    if process.returncode != 0 and not stopped:
        raise TrimtabError(f"{' '.join(command)}: exit status {process.returncode}: {said.strip()[-300:]!r}")
    hosts, steps = final_hosts(said)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return HbalRun(hosts, steps, wall_s, cpu_s, stopped)
