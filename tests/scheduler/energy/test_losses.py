"""Whether hosts lost leave room: by the policy's own check, and by the checker's, which shares nothing with it."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from cluster.limits import Limits
from cluster.rules import AntiAffinity, Pin, Rule, Selector
from cluster.snapshot import Snapshot
from policies.rules.registry import lower
from scheduler.check.losses import Seats
from scheduler.energy.losses import Losses
from tests.scheduler.solver.clusters import cluster, guest, host

LIMITS = Limits(cpu=0.8)


def verdicts(snapshot: Snapshot, awake: str, many: int = 1, domain: str = "") -> tuple[bool, bool]:
    """Whether both find all losses held, with only these hosts awake."""
    forms = [form for rule in snapshot.rules if (form := lower(rule, snapshot)) is not None]
    ours = Losses(snapshot, LIMITS, forms, None, many, domain).why_not_held({}, set(awake))
    placement = {one.id: one.host for one in snapshot.guests}
    asleep = {one.id for one in snapshot.hosts} - set(awake)
    theirs = Seats(snapshot, LIMITS).why_not_held(placement, asleep, many, domain)
    return ours is None, theirs is None


def of(
    hosts: str, guests: dict[str, str], gib: int = 24, rules: tuple[Rule, ...] = (), rack: dict[str, str] | None = None
) -> Snapshot:
    """Hosts of 64 GiB and guests of so many, each on a host."""
    made = [host(one, gib=64, domains={"rack": (rack or {}).get(one, one)}) for one in hosts]
    return cluster(made, [guest(name, on, gib=gib) for name, on in guests.items()], rules)


def test_a_loss_is_held_while_the_others_have_room() -> None:
    """Two guests of 24 GiB fit beside each other, three do not."""
    full = of("abc", {"g1": "a", "g2": "a", "g3": "b"})
    assert verdicts(full, "abc") == (True, True)
    assert verdicts(full, "ab") == (False, False)


def test_the_sum_is_not_enough() -> None:
    """20 GiB are free on each of two hosts, and the guest needs 24 in one piece."""
    scattered = of("abc", {"g1": "a", "g2": "b", "g3": "c", "g4": "b", "g5": "c"}, gib=22)
    assert verdicts(scattered, "abc") == (False, False)


def test_guests_kept_apart_need_hosts_of_their_own() -> None:
    """With one of three hosts lost, three guests that are kept apart find no third."""
    rule = AntiAffinity(name="apart", guests=Selector(ids=("g1", "g2", "g3")))
    apart = of("abcd", {"g1": "a", "g2": "b", "g3": "c"}, gib=4, rules=(rule,))
    assert verdicts(apart, "abc") == (False, False)
    assert verdicts(apart, "abcd") == (True, True)


def test_what_no_other_host_can_run_asks_for_none() -> None:
    """A guest pinned to its host is not helped by any other that stays awake."""
    rule = Pin(name="licence", guests=Selector(ids=("g1",)), hosts=Selector(ids=("a",)))
    assert verdicts(of("ab", {"g1": "a"}, rules=(rule,)), "ab") == (True, True)


def test_a_whole_rack_may_be_lost() -> None:
    """With a rack of two hosts lost, the third must hold all."""
    racks = {"a": "x", "b": "x", "c": "y", "d": "y"}
    spread = of("abcd", {"g1": "a", "g2": "b", "g3": "c"}, rack=racks)
    assert verdicts(spread, "abcd", 1, "rack") == (True, True)
    assert verdicts(spread, "abc", 1, "rack") == (False, False)


def test_two_hosts_may_be_lost_at_once() -> None:
    """Three guests on three hosts: two losses leave all on one, where only two fit."""
    three = of("abc", {"g1": "a", "g2": "b", "g3": "c"})
    assert verdicts(three, "abc", 1) == (True, True)
    assert verdicts(three, "abc", 2) == (False, False)


@given(st.integers(0, 2**32 - 1))
def test_what_the_policy_finds_held_the_checker_does_too(seed: int) -> None:
    """The checker tries harder: it never refuses what the policy accepts."""
    dice = Random(seed)
    names = "abcd"[: dice.randint(2, 4)]
    guests = [
        guest(f"g{i}", dice.choice(names), gib=dice.randint(2, 30), cores=dice.randint(1, 12))
        for i in range(dice.randint(1, 9))
    ]
    snapshot = cluster([host(one, gib=dice.choice((48, 64))) for one in names], guests)
    ours, theirs = verdicts(snapshot, names)
    assert theirs or not ours
