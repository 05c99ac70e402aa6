"""How a migration ended, judged only by where the guest was seen: a pure function, one line per case.

The law: while a host that could run the guest does not answer, a step is neither `done` nor `failed`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.plan import Migrate, StepState
from executors.protocol import Presence, Progress, Sighting

_UNDER_WAY = frozenset({Presence.LEAVING, Presence.ARRIVING})
# States with running vCPUs, or with a QEMU process that can run them at any moment.
_HELD = frozenset({Presence.RUNNING, Presence.LEAVING})
_GONE = frozenset({Presence.STOPPED, Presence.ABSENT})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look says of a step: its state and a sentence for people. `passing`: maybe only for a moment."""

    state: StepState
    text: str
    passing: bool = False


def settle(step: Migrate, sighting: Sighting, progress: Progress) -> Verdict:
    """Judge a step from a look at every host and from what its executor knows of the job.

    `running` means "look again": a migration is still under way somewhere, or its job has not ended.
    """
    if progress.running:
        return Verdict(StepState.RUNNING, "under way")
    source, target = sighting.source, sighting.target
    silent = [host for host, seen in ((step.source, source), (step.target, target)) if seen is Presence.UNKNOWN]
    held = [host for host, seen in ((step.source, source), (step.target, target)) if seen in _HELD]
    held += sighting.elsewhere
    if len(held) > 1 and (sighting.elsewhere or source is not Presence.LEAVING or target is not Presence.RUNNING):
        return Verdict(StepState.UNRESOLVED, f"the guest is active on {' and '.join(held)}")
    if _UNDER_WAY & {source, target}:
        return Verdict(StepState.RUNNING, f"under way{_because(progress)}")
    if silent:
        known = any(f"host {host} does not answer" in progress.error for host in silent)
        return Verdict(StepState.UNRESOLVED, _silent(silent, held) + ("" if known else _because(progress)))
    if sighting.elsewhere:
        return Verdict(StepState.FAILED, f"the guest runs on {held[0]}, where this step did not send it")
    if target is Presence.RUNNING:
        return _arrived(step, sighting)
    if source is Presence.RUNNING:
        return Verdict(StepState.FAILED, f"the guest stayed on {step.source}{_because(progress)}")
    if Presence.STOPPED in (source, target):
        places = [host for host, seen in ((step.source, source), (step.target, target)) if seen is Presence.STOPPED]
        return Verdict(
            StepState.FAILED, f"the guest stopped; it is defined on {' and '.join(places)}{_because(progress)}"
        )
    return Verdict(
        StepState.UNRESOLVED,
        f"the guest is neither on {step.source} nor on {step.target}, nor on any host that answers{_because(progress)}",
    )


def why_not_startable(step: Migrate, sighting: Sighting) -> str | None:
    """Say why a migration may not begin: the guest must run on its source, unmoved, and be nowhere else."""
    if sighting.elsewhere:
        return f"the guest also runs on {', '.join(sighting.elsewhere)}"
    match sighting.source:
        case Presence.RUNNING:
            pass
        case Presence.LEAVING:
            return f"the guest is already being migrated away from {step.source}"
        case Presence.UNKNOWN:
            return f"host {step.source} does not answer"
        case _:
            return f"the guest does not run on {step.source}"
    match sighting.target:
        case Presence.ABSENT:
            return None
        case Presence.STOPPED:
            return f"a stopped definition of the guest is on {step.target}: remove it there first (virsh undefine)"
        case Presence.UNKNOWN:
            return f"host {step.target} does not answer"
        case _:
            return f"the guest is already {sighting.target} on {step.target}"


def _arrived(step: Migrate, sighting: Sighting) -> Verdict:
    if not sighting.answering:
        return Verdict(
            StepState.UNRESOLVED, f"the guest is on {step.target}, but its QEMU does not answer or has stopped it"
        )
    if sighting.source is Presence.STOPPED:
        left = f"runs on {step.target}; a stopped definition is left on {step.source}: remove it there"
        return Verdict(StepState.DONE, left, passing=True)
    return Verdict(StepState.DONE, f"runs on {step.target}")


def _silent(silent: list[str], held: list[str]) -> str:
    verb = "does" if len(silent) == 1 else "do"
    seen = f"; the guest is seen on {held[0]}" if held else ""
    return f"cannot see where the guest runs: {' and '.join(silent)} {verb} not answer{seen}"


def _because(progress: Progress) -> str:
    return f": {progress.error}" if progress.error else ""
