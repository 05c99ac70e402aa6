"""Two schedulers on real hosts, the leader killed with SIGKILL in mid-migration ten times, the other taking over.

    python -m benchmarks.lab_takeover [--rounds N]

Needs root and what the lab of `tests/lab` needs; about six minutes. In each round a host that holds guests is drained;
once a migration has sent a part of its memory the leading `trimtab run` is killed, and the one standing by has to take
over: adopt the step from the journal while both QEMUs are still there, watch it to its end, begin nothing twice, and
finish the plan under a greater token. All along every host is asked whether a guest runs there that also runs
elsewhere; after each round each guest has one QEMU, and its memory is what it was and has counted on. The killed one is
started again and stands by in the next round. Ends with 1 when anything of that did not hold.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.data_folder import run_command

if TYPE_CHECKING:
    from tests.lab.cluster_under_test import ClusterUnderTest
    from tests.lab.guests import Memory
    from tests.lab.lab import Lab

GUESTS = 3
ROUNDS = 10
LEASE_S = 4.0
CHANGES = {
    # Level 1: only what is asked for is done, so that each round has one drain.
    "scheduler": {"level": 1, "lease_s": LEASE_S},
    "migration": {"mbit_s": 84.0, "out_per_host": 1, "in_per_host": 1, "per_cluster": 1},
    "collect": {"stale_s": 20.0},
}


@dataclass(frozen=True, slots=True)
class Takeover:
    """One round: what was under way, how far, how long until the other led, and what was wrong."""

    step: str
    sent_ratio: float
    led_after_s: float
    qemus: int
    wrong: tuple[str, ...]


def run(rounds: int) -> int:
    """Run so many rounds and print each; return the exit status."""
    from tests.lab.cluster_under_test import ClusterUnderTest, Doubles
    from tests.lab.lab import Lab
    from tests.lab.redis import LabRedis
    from tests.lab.spreading import boot

    with Lab(hosts=3) as lab, LabRedis(lab) as redis, Doubles(lab) as doubles:
        for number in range(1, GUESTS + 1):
            lab.guest(f"web-{number}", "lab-1", memory_mib=320, filled_mib=96, start=False)
        boot(lab)
        with ClusterUnderTest(lab, redis, CHANGES) as one, ClusterUnderTest(lab, redis, CHANGES) as other:
            one.start_agents()
            one.start_daemon()
            one.wait(lambda: one.store.status(), 30, "a leader")
            leader, standby = one, other
            takeovers = []
            for number in range(1, rounds + 1):
                takeovers.append(take_over(lab, leader, standby))
                print(line_of(number, takeovers[-1]), flush=True)
                leader, standby = standby, leader
        found = list(doubles.found)
    wrong = [text for takeover in takeovers for text in takeover.wrong] + found
    middling = sorted(takeover.led_after_s for takeover in takeovers)[len(takeovers) // 2]
    print(
        f"{len(takeovers)} leaders killed; {sum(takeover.qemus == 2 for takeover in takeovers)} migrations adopted in"
        f" mid-flight; the other led after {middling:.1f} s (median); {doubles.looks} looks for guests that run twice,"
        f" {len(found)} found; {len(wrong)} things wrong"
    )
    return 1 if wrong else 0


def take_over(lab: Lab, leader: ClusterUnderTest, standby: ClusterUnderTest) -> Takeover:
    """Drain a host, kill the leader in mid-migration, and see the other one through to the end of the plan."""
    from tests.lab.spreading import memories

    heard = len(standby.lines)
    standby.start_daemon()
    standby.wait_for_line("standing by", 30, after=heard)
    before = memories(lab)
    counts = leader.counts()
    drained = min((host for host in sorted(counts) if counts[host]), key=lambda host: counts[host])
    plans_before = len(leader.plans())
    leader.store.set_flag(f"drain:{drained}", "the benchmark")
    step = leader.wait_for_migration(60, ratio=0.1)
    record = leader.store.active_plan()
    written = record.steps[step.id] if record is not None else None
    leader.kill_daemon()
    killed_s = time.monotonic()
    standby.wait_for_line("adopted", 30, after=heard)
    led_after_s = time.monotonic() - killed_s
    qemus = len(lab.qemus(step.guest_name))
    standby.wait(
        lambda: standby.store.active_plan() is None and standby.counts()[drained] == 0, 120, f"{drained} is empty"
    )
    standby.store.set_flag(f"drain:{drained}", None)
    token = written.token if written is not None else 0
    wrong = tuple(_wrong(lab, standby, plans_before, step.id, token, before))
    return Takeover(
        f"{step.guest_name} {step.source} -> {step.target}",
        written.progress_ratio if written is not None else 0.0,
        led_after_s,
        qemus,
        wrong,
    )


def _wrong(
    lab: Lab, cluster: ClusterUnderTest, plans_before: int, step: str, token: int, before: Mapping[str, Memory]
) -> list[str]:
    """What must not be so after a takeover."""
    from tests.lab.cluster_under_test import starts_of_steps
    from tests.lab.spreading import discontinuous, not_alone

    wrong = [*not_alone(lab), *discontinuous(lab, before)]
    twice = [name for name, number in starts_of_steps(cluster.journal()).items() if number > 1]
    wrong += [f"step {name} was begun twice" for name in twice]
    adopted = cluster.plans()[plans_before]
    record = adopted.steps.get(step)
    if record is None or record.state != "done":
        wrong.append(f"the step that was under way ended as {record}")
    elif record.token <= token:
        wrong.append(f"the step's end carries token {record.token}, its start {token}")
    wrong += [f"guest {guest} is unresolved: {why}" for guest, why in cluster.store.unresolved().items()]
    return wrong


def line_of(number: int, takeover: Takeover) -> str:
    """Return a round in one line."""
    how = "in mid-flight" if takeover.qemus == 2 else "at its end"
    text = f"{number:2d}. {takeover.step}, {takeover.sent_ratio:.0%} sent: adopted {how} after"
    return f"{text} {takeover.led_after_s:.1f} s; {'; '.join(takeover.wrong) or 'nothing wrong'}"


def main() -> int:
    """Run and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often the leader is killed ({ROUNDS})")
    return run(parser.parse_args().rounds)


if __name__ == "__main__":
    run_command(main)
