"""Wake proofs: whether a host is known to come back from sleep, as kept in its flag `wake:HOST`. Pure.

A wake that worked, in a wake test or in an ordinary night, is a proof for so many days; one that failed blocks the
host until another has worked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cluster.config.power import PowerSettings, WakeTest
from cluster.host import Host, PowerState

PREFIX = "wake:"
FAILURE_COUNTS = timedelta(days=7)
"""For how long a failed wake makes one doubt the other hosts, too. The host itself stays blocked for longer."""


@dataclass(frozen=True, slots=True)
class WakeProof:
    """What is known of one host's waking. `took_s`: from the order to wake to its first report, when it last worked.

    `failed_at`, with the `reason`, counts when it is not before `proven_at`. `slept` tells that the failure was one of
    going to sleep: the host is blocked all the same, but no wake failed.
    """

    proven_at: datetime | None = None
    took_s: float | None = None
    failed_at: datetime | None = None
    reason: str = ""
    slept: bool = True

    @property
    def is_blocked(self) -> bool:
        """Whether the last try failed."""
        return self.failed_at is not None and (self.proven_at is None or self.failed_at >= self.proven_at)

    def passed(self, at: datetime, took_s: float | None) -> WakeProof:
        """Return the proof after a wake that worked; an earlier failure is history then."""
        return WakeProof(proven_at=at, took_s=took_s)

    def failed(self, at: datetime, reason: str, *, slept: bool = True) -> WakeProof:
        """Return the proof after a try that failed."""
        return replace(self, failed_at=at, reason=reason, slept=slept)


def flag_of(host: str) -> str:
    """Return the name of a host's flag."""
    return PREFIX + host


def read(flags: Mapping[str, str], host: str) -> WakeProof:
    """Return what the flags know of a host; one without a flag, or with one that cannot be read, is not proven."""
    text = flags.get(flag_of(host))
    if text is None:
        return WakeProof()
    try:
        known = json.loads(text)
        return WakeProof(
            proven_at=_time(known.get("proven_at")),
            took_s=None if known.get("took_s") is None else float(known["took_s"]),
            failed_at=_time(known.get("failed_at")),
            reason=str(known.get("reason", "")),
            slept=bool(known.get("slept", True)),
        )
    except (ValueError, TypeError, AttributeError):
        return WakeProof()


def write(proof: WakeProof) -> str:
    """Return a proof as its flag's text."""
    return json.dumps(
        {
            "proven_at": None if proof.proven_at is None else proof.proven_at.isoformat(),
            "took_s": None if proof.took_s is None else round(proof.took_s, 1),
            "failed_at": None if proof.failed_at is None else proof.failed_at.isoformat(),
            "reason": proof.reason,
            "slept": proof.slept,
        }
    )


def is_proven(flags: Mapping[str, str], host: str, now: datetime, valid_days: float) -> bool:
    """Tell whether a host's last try worked, not longer than `valid_days` ago."""
    proof = read(flags, host)
    if proof.is_blocked or proof.proven_at is None:
        return False
    return now - proof.proven_at <= timedelta(days=valid_days)


def blocked(flags: Mapping[str, str]) -> frozenset[str]:
    """Return the hosts whose last try failed."""
    hosts = (flag.removeprefix(PREFIX) for flag in flags if flag.startswith(PREFIX))
    return frozenset(host for host in hosts if read(flags, host).is_blocked)


def failed_wakes(flags: Mapping[str, str], now: datetime) -> int:
    """Return how many hosts did not wake lately and have not since: as many more are to stay awake in reserve."""
    proofs = (read(flags, host) for host in blocked(flags))
    return sum(
        proof.slept and proof.failed_at is not None and now - proof.failed_at <= FAILURE_COUNTS for proof in proofs
    )


def wake_s(flags: Mapping[str, str], host: str, configured_s: float) -> float:
    """Return how long a host takes to wake: as measured when that is longer than configured."""
    took_s = read(flags, host).took_s
    return configured_s if took_s is None else max(configured_s, took_s)


def why_no_sleep(flags: Mapping[str, str], host: str, now: datetime, settings: PowerSettings) -> str | None:
    """Say why a host is not put to sleep: blocked, or, where proofs are required, not proven lately."""
    proof = read(flags, host)
    if proof.is_blocked and proof.failed_at is not None:
        return (
            f"host {host} is not put to sleep: {proof.reason} ({proof.failed_at:%Y-%m-%d %H:%M} UTC); "
            f"blocked until it passes: trimtab wake-test {host}"
        )
    days = settings.wake_test_days
    if settings.wake_test is WakeTest.REQUIRED and not is_proven(flags, host, now, days):
        return (
            f"host {host} is not put to sleep: no wake test passed in the last {days:g} days: trimtab wake-test {host}"
        )
    return None


def with_proof(host: Host, flags: Mapping[str, str], now: datetime, settings: PowerSettings) -> Host:
    """Return a host as plans may use its power: not controllable where its waking is in doubt, wake time as measured.

    A host that does not run now stays controllable whatever its proof: it must be possible to wake it.
    """
    power = host.power
    if not power.controllable:
        return host
    sleeps = power.state is not PowerState.ON or f"power:{host.id}" in flags
    may_sleep = sleeps or why_no_sleep(flags, host.id, now, settings) is None
    took_s = wake_s(flags, host.id, power.wake_s)
    if may_sleep and took_s == power.wake_s:
        return host
    return replace(host, power=replace(power, controllable=may_sleep, wake_s=took_s))


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"no time zone in {text}")
    return at
