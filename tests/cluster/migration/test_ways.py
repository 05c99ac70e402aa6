"""Which ways a migration uses: what is asked for, as far as both ends have it and it goes together."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config.settings import Encryption, MigrationSettings
from cluster.guest import Compression, LocalDisks, MigrationPolicy
from cluster.migration.ways import (
    End,
    Way,
    choose_ways,
    downtime_steps_ms,
    number,
    read_version,
    show_version,
    why_not_at,
    why_not_together,
)


def old(name: str) -> End:
    """Debian 12's versions, with TLS."""
    return End(name, number(9, 0), number(7, 2), tls=True)


def new(name: str) -> End:
    """Versions in which all goes together that ever will, with TLS."""
    return End(name, number(11, 8), number(10, 1), tls=True)


POLICIES = st.builds(
    MigrationPolicy,
    allow_postcopy=st.booleans(),
    latency_sensitive=st.booleans(),
    must_encrypt=st.booleans(),
    auto_converge=st.sampled_from([None, False, True]),
    compression=st.sampled_from([None, *Compression]),
    parallel_connections=st.sampled_from([None, 1, 4]),
)
SETTINGS = st.builds(
    MigrationSettings,
    encryption=st.sampled_from(Encryption),
    compression=st.sampled_from(Compression),
    parallel_connections=st.sampled_from([1, 8]),
    auto_converge=st.booleans(),
    postcopy=st.booleans(),
)
VERSIONS = st.sampled_from([number(4, 0), number(5, 1), number(7, 2), number(8, 2), number(10, 1)])
LIBVIRTS = st.sampled_from([number(5, 0), number(9, 0), number(9, 4), number(11, 0)])


def ends(name: str) -> st.SearchStrategy[End]:
    """One end of any age."""
    return st.builds(End, st.just(name), LIBVIRTS, VERSIONS, st.sampled_from([None, False, True]))


@given(POLICIES, SETTINGS, ends("a"), ends("b"), st.booleans())
def test_no_two_ways_are_used_that_do_not_go_together(
    policy: MigrationPolicy, settings: MigrationSettings, source: End, target: End, again: bool
) -> None:
    """Whatever is asked for: all that is used is there on both ends, and every pair of it goes together."""
    ways = choose_ways(policy, settings, source, target, again=again)
    for way in ways.used - {Way.TLS}:
        assert why_not_at(way, source) is None and why_not_at(way, target) is None
    for one, other in combinations(ways.used, 2):
        assert why_not_together(one, other, source, target) is None
    assert (ways.connections > 1) is (Way.PARALLEL in ways.used)
    assert Way.ZSTD not in ways.used or Way.PARALLEL in ways.used


@given(POLICIES, SETTINGS, ends("a"), ends("b"), st.booleans())
def test_a_latency_sensitive_guest_is_never_throttled_or_moved_by_post_copy(
    policy: MigrationPolicy, settings: MigrationSettings, source: End, target: End, again: bool
) -> None:
    """Whatever else its policy or the cluster's says."""
    used = choose_ways(policy, settings, source, target, again=again).used
    if policy.latency_sensitive:
        assert not used & {Way.AUTO_CONVERGE, Way.POSTCOPY}


@given(POLICIES, SETTINGS, ends("a"), ends("b"), st.booleans())
def test_encryption_that_is_demanded_is_had_or_nothing_moves(
    policy: MigrationPolicy, settings: MigrationSettings, source: End, target: End, again: bool
) -> None:
    """By the guest or by the cluster; a host known to have no TLS is a refusal."""
    ways = choose_ways(policy, settings, source, target, again=again)
    if policy.must_encrypt or settings.encryption is Encryption.REQUIRED:
        assert (Way.TLS in ways.used) is not bool(ways.refusal)
        if source.tls is False or target.tls is False:
            assert "no TLS is set up" in ways.refusal
    else:
        assert not ways.refusal
        assert Way.TLS not in ways.used or settings.encryption is Encryption.PREFER


@pytest.mark.parametrize(
    ("one", "other", "version", "together"),
    [
        (Way.POSTCOPY, Way.PARALLEL, number(7, 2), False),
        (Way.POSTCOPY, Way.PARALLEL, number(10, 1), True),
        (Way.XBZRLE, Way.PARALLEL, number(10, 1), False),
        (Way.TLS, Way.PARALLEL, number(5, 1), False),
        (Way.TLS, Way.PARALLEL, number(5, 2), True),
        (Way.TLS, Way.POSTCOPY, number(7, 2), True),
        (Way.TUNNELLED, Way.LOCAL_DISKS, number(10, 1), False),
        (Way.POSTCOPY, Way.LOCAL_DISKS, number(10, 1), False),
        (Way.TLS, Way.LOCAL_DISKS, number(7, 2), True),
    ],
)
def test_the_table_of_combinations(one: Way, other: Way, version: int, together: bool) -> None:
    """Both orders, on the older of the two ends."""
    first = End("a", number(11, 0), version)
    assert (why_not_together(one, other, first, new("b")) is None) is together
    assert (why_not_together(other, one, new("b"), first) is None) is together


def test_local_disks_go_by_policy_and_without_post_copy() -> None:
    """A step that copies disks is refused where policy has come to forbid it; post-copy is left out, and says so."""
    settings, policy = MigrationSettings(local_disks=LocalDisks.COPY), MigrationPolicy(allow_postcopy=True)
    ways = choose_ways(policy, settings, new("a"), new("b"), local_disks=True)
    assert Way.LOCAL_DISKS in ways.used and Way.POSTCOPY not in ways.used
    assert [one.way for one in ways.left_out] == [Way.POSTCOPY]
    assert Way.LOCAL_DISKS not in choose_ways(policy, settings, new("a"), new("b")).used
    stays = MigrationPolicy(local_disks=LocalDisks.STAY)
    assert "policy does not" in choose_ways(stays, settings, new("a"), new("b"), local_disks=True).refusal
    assert "policy does not" in choose_ways(policy, MigrationSettings(), new("a"), new("b"), local_disks=True).refusal


def test_what_is_left_out_says_why() -> None:
    """No zstd where libvirt is too old; parallel connections beside post-copy where QEMU is."""
    policy = MigrationPolicy(allow_postcopy=True, compression=Compression.ZSTD)
    mixed = choose_ways(policy, MigrationSettings(), old("a"), new("b"))
    assert mixed.used == {Way.TLS, Way.POSTCOPY}
    why = {one.way: one.why for one in mixed.left_out}
    assert "before QEMU 10.1.0 (host a)" in why[Way.PARALLEL]
    assert "needs libvirt 9.4.0, host a has 9.0.0" in why[Way.ZSTD]
    recent = choose_ways(policy, MigrationSettings(), new("a"), new("b"))
    assert recent.used == {Way.TLS, Way.POSTCOPY, Way.PARALLEL, Way.ZSTD}
    assert recent.connections == 2


def test_the_second_try_packs_and_throttles() -> None:
    """Over one connection, since what packs best goes over one only."""
    settings = MigrationSettings(encryption=Encryption.OFF, parallel_connections=8)
    first = choose_ways(MigrationPolicy(), settings, old("a"), old("b"))
    second = choose_ways(MigrationPolicy(), settings, old("a"), old("b"), again=True)
    assert first.used == {Way.PARALLEL} and first.connections == 8
    assert second.used == {Way.XBZRLE, Way.AUTO_CONVERGE} and second.connections == 1


@given(st.integers(1, 10**5), st.integers(1, 10))
def test_downtimes_rise_to_the_limit(limit_ms: int, steps: int) -> None:
    """Strictly, each at least 1 ms, and the last one is the limit."""
    found = downtime_steps_ms(limit_ms, steps)
    assert found == tuple(sorted(set(found))) and found[0] >= 1 and found[-1] == limit_ms
    assert len(found) <= steps


@pytest.mark.parametrize(("text", "version"), [("9.0.0", number(9, 0)), ("7.2.22", number(7, 2, 22)), ("8.1", 8001000)])
def test_versions_are_read_and_shown(text: str, version: int) -> None:
    """A missing release is 0."""
    assert read_version(text) == version
    assert read_version(show_version(version)) == version


@pytest.mark.parametrize("text", [None, "", "git"])
def test_an_unknown_version_is_none(text: str | None) -> None:
    """Nothing is made up."""
    assert read_version(text) is None
