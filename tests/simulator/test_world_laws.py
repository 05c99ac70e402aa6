"""Whatever is asked of the pretend cluster and whatever goes wrong, it stays a possible one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.clock import SystemClock
from cluster.errors import TrimtabError
from simulator.executor import SimMigrationExecutor
from simulator.faults import IN_FLIGHT, NEED_GUEST, Fault, FaultKind
from simulator.guests import Writes
from simulator.watcher import Holding, ViolationKind
from simulator.world import World
from tests.simulator.worlds import make_guest, make_host, make_world, move

HOSTS, GUESTS = "abcd", tuple(f"g{number}" for number in range(6))

hosts, guests = st.sampled_from(HOSTS), st.sampled_from(GUESTS)
faults = st.builds(
    lambda kind, host, guest, ratio: Fault(
        0, kind, host, guest if kind in NEED_GUEST | IN_FLIGHT else "", ratio if kind in IN_FLIGHT else None, mbit_s=500
    ),
    st.sampled_from([kind for kind in FaultKind if kind is not FaultKind.GUEST_STARTS]),
    hosts,
    guests,
    st.floats(0, 1),
)
deeds = st.one_of(
    st.tuples(st.just("move"), guests, hosts, hosts, st.none() | st.integers(50, 500)),
    st.tuples(st.just("abort"), guests),
    st.tuples(st.just("sleep"), hosts),
    st.tuples(st.just("wake"), hosts),
    st.tuples(st.just("fault"), faults),
    st.tuples(st.just("wait"), st.floats(0.01, 30)),
)


def do(world: World, deed: tuple[object, ...]) -> None:
    """Carry out one deed; a refusal is an answer."""
    try:
        match deed:
            case ("move", str(guest), str(source), str(target), limit):
                world.start_migration(guest, source, target, float(limit) if isinstance(limit, int) else None)
            case ("abort", str(guest)):
                world.abort_migration(guest)
            case ("sleep", str(host)):
                world.sleep_host(host)
            case ("wake", str(host)):
                world.wake_host(host)
            case ("fault", Fault() as fault):
                world.inject(fault)
    except TrimtabError as error:
        assert str(error)


@given(st.lists(deeds, max_size=40))
@settings(max_examples=150)
def test_no_guest_is_ever_in_two_places_or_half_in_one(history: list[tuple[object, ...]]) -> None:
    """It runs on one host that is on, or nowhere; what arrives belongs to a migration; nothing comes back to life."""
    world, clock = make_world(
        [make_guest(guest, HOSTS[i % 3], writes=Writes(300, 900, 50)) for i, guest in enumerate(GUESTS)],
        [make_host(host) for host in HOSTS],
    )
    alive = set(GUESTS)
    for deed in history:
        do(world, deed)
        if deed[0] == "wait" and isinstance(deed[1], float):
            clock.advance(deed[1])
        with world.present():
            for guest in GUESTS:
                places = world.location(guest)
                assert len(places) <= (guest in alive)
                assert all(world.hosts[host].power.is_on for host in places)
                if not places:
                    alive.discard(guest)
            arriving = {
                (guest, host)
                for host, on in world.holdings.items()
                for guest, holding in on.items()
                if holding is Holding.ARRIVING
            }
            assert arriving == {(guest, one.target) for guest, one in world.migrations.items()}
            assert all(world.location(guest) == (one.source,) for guest, one in world.migrations.items())
    assert {one.kind for one in world.violations()} <= {ViolationKind.GUEST_LOST}


def test_several_threads_may_look_and_act_in_real_time() -> None:
    """On the system's clock, with looks from all sides, every migration ends once."""
    fast = [make_host(name, mbit_s=4_000_000) for name in HOSTS]
    world = World(fast, [make_guest(guest, memory_mib=1000) for guest in GUESTS], SystemClock())
    executor = SimMigrationExecutor(world)

    def work(guest: str) -> None:
        executor.start(move(guest), 0)
        while executor.poll(move(guest)).running:
            world.observe("a")
            world.snapshot()

    with ThreadPoolExecutor(len(GUESTS)) as threads:
        for done in [threads.submit(work, guest) for guest in GUESTS]:
            done.result(timeout=30)
    assert (world.tally().moves_done, world.violations()) == (len(GUESTS), ())
    assert all(world.location(guest) == ("b",) for guest in GUESTS)
