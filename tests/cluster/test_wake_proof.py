"""Wake proofs: what proves, what blocks, and how a failure is outlived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import wake_proof
from cluster.config.power import PowerSettings, WakeTest
from cluster.host import Host, PowerModel, PowerState
from cluster.wake_proof import FAILURE_COUNTS, WakeProof

NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
REQUIRED, OFF = PowerSettings(), PowerSettings(wake_test=WakeTest.OFF)
NAIVE = '{"proven_at": "2026-11-24T01:00:00"}'
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


def flags_of(**proofs: WakeProof) -> dict[str, str]:
    """Flags that hold the proofs, and others beside them."""
    return {"paused": "ann", "power:z": "asleep"} | {
        wake_proof.flag_of(host): wake_proof.write(proof) for host, proof in proofs.items()
    }


@given(
    st.builds(
        WakeProof,
        st.none() | moments,
        st.none() | st.integers(0, 36000).map(lambda tenths: tenths / 10),
        st.none() | moments,
        st.text(),
        st.booleans(),
    )
)
def test_a_proof_survives_its_flag(proof: WakeProof) -> None:
    """What is written is read again."""
    assert wake_proof.read(flags_of(a=proof), "a") == proof


@pytest.mark.parametrize("text", ["", "asleep", "[]", "3", '{"proven_at": "yesterday"}', '{"took_s": "long"}', NAIVE])
def test_a_flag_that_cannot_be_read_proves_nothing(text: str) -> None:
    """A broken flag is as none."""
    flags = {"wake:a": text}
    assert not wake_proof.is_proven(flags, "a", NOW, 30)
    assert wake_proof.blocked(flags) == frozenset()


def test_a_proof_ages() -> None:
    """It counts for as many days as told, then the reason says what to do."""
    flags = flags_of(a=WakeProof().passed(NOW - timedelta(days=30), 41.0))
    assert wake_proof.is_proven(flags, "a", NOW, 30)
    assert not wake_proof.is_proven(flags, "a", NOW + HOUR, 30)
    assert wake_proof.why_no_sleep(flags, "a", NOW, REQUIRED) is None
    assert wake_proof.why_no_sleep(flags, "a", NOW + HOUR, REQUIRED) == (
        "host a is not put to sleep: no wake test passed in the last 30 days: trimtab wake-test a"
    )
    assert wake_proof.why_no_sleep(flags, "a", NOW + HOUR, OFF) is None


def test_a_failure_blocks_until_proven_again() -> None:
    """The proof before it is worth nothing any more, required or not; the next one lifts the block."""
    proof = WakeProof().passed(NOW - HOUR, 41.0).failed(NOW, "it did not wake: no answer after 300 s")
    flags = flags_of(a=proof)
    assert not wake_proof.is_proven(flags, "a", NOW, 30)
    assert wake_proof.blocked(flags) == {"a"}
    for settings in (REQUIRED, OFF):
        why = wake_proof.why_no_sleep(flags, "a", NOW, settings)
        assert why is not None and "it did not wake: no answer after 300 s" in why and "wake-test a" in why
    flags = flags_of(a=proof.passed(NOW + HOUR, 50.0))
    assert wake_proof.is_proven(flags, "a", NOW + HOUR, 30)
    assert wake_proof.blocked(flags) == frozenset()


def test_failed_wakes_are_counted_for_a_week() -> None:
    """Each host that did not wake counts once; one that did not even go to sleep is blocked and does not count."""
    flags = flags_of(
        a=WakeProof().failed(NOW, "no"),
        b=WakeProof().failed(NOW - FAILURE_COUNTS - HOUR, "no"),
        c=WakeProof().failed(NOW, "no", slept=False),
        d=WakeProof().failed(NOW - HOUR, "no").passed(NOW, 3.0),
    )
    assert wake_proof.failed_wakes(flags, NOW) == 1
    assert wake_proof.blocked(flags) == {"a", "b", "c"}


@given(st.floats(0, 3600), st.floats(0, 3600))
def test_the_longer_wake_time_counts(configured_s: float, took_s: float) -> None:
    """Measured replaces configured only where it is longer, to the tenth of a second."""
    flags = flags_of(a=WakeProof().passed(NOW, took_s))
    assert wake_proof.wake_s(flags, "a", configured_s) == max(configured_s, round(took_s, 1))
    assert wake_proof.wake_s(flags, "b", configured_s) == configured_s


def host(state: PowerState = PowerState.ON, *, controllable: bool = True) -> Host:
    """A host whose configured wake time is 60 s."""
    return Host("a", 8000, 65536, power=PowerModel(state=state, controllable=controllable, wake_s=60.0))


@pytest.mark.parametrize("state", list(PowerState))
def test_only_a_host_that_runs_is_kept_by_a_missing_proof(state: PowerState) -> None:
    """One that sleeps can be woken without a proof, and blocked."""
    for flags in ({}, flags_of(a=WakeProof().failed(NOW, "no"))):
        seen = wake_proof.with_proof(host(state), flags, NOW, REQUIRED)
        assert seen.power.controllable is (state is not PowerState.ON)
    asleep = {"power:a": "asleep"}
    assert wake_proof.with_proof(host(state), asleep, NOW, REQUIRED).power.controllable


def test_a_proof_lets_a_controllable_host_sleep_and_measures_it() -> None:
    """It never makes one controllable that is not."""
    flags = flags_of(a=WakeProof().passed(NOW, 95.5))
    assert wake_proof.with_proof(host(), flags, NOW, REQUIRED).power == PowerModel(controllable=True, wake_s=95.5)
    assert wake_proof.with_proof(host(controllable=False), flags, NOW, REQUIRED) == host(controllable=False)
    assert wake_proof.with_proof(host(), {}, NOW, OFF) == host()
