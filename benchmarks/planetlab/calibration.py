"""THR-MMT on our simulator: the policy decides, the pretend cluster moves the guests and the ledger counts."""

from __future__ import annotations

import numpy as np

from benchmarks.planetlab.setting import FIRST_S, HOSTS, begin, core_mips, guest_id, host_id, wanted_mips, world
from benchmarks.planetlab.threshold import Moves, Threshold, net
from benchmarks.planetlab.trace import DAY_S, SLOT_S
from simulator.accounting import Account, AccountLedger
from simulator.loads import FloatArray, LoadMatrix
from simulator.published_accounting import Published, PublishedLedger
from simulator.whereabouts import IntArray, Whereabouts


class TwiceMoved(PublishedLedger):
    """The literature's ledger, with guests that CloudSim moves twice at once: each goes to both hosts until it ends."""

    def __init__(self) -> None:
        super().__init__(core_mips(), FIRST_S)
        self._also: list[tuple[int, int]] = []

    def coming(self, where: Whereabouts) -> tuple[IntArray, IntArray]:
        """Return the guests under way and their hosts, the passing ones included."""
        guests, hosts = super().coming(where)
        also = [(guest, host) for guest, host in self._also if where.target_of[guest] >= 0]
        if not also:
            return guests, hosts
        return np.r_[guests, [guest for guest, _ in also]], np.r_[hosts, [host for _, host in also]]

    def passing(self, moves: Moves) -> None:
        """Note the hosts that guests are sent to and on from by the moves of one decision."""
        last = {guest: target for guest, _, target in moves}
        self._also = [(guest, target) for guest, _, target in moves if last[guest] != target]


def vanishing(use: FloatArray) -> list[set[int]]:
    """Return by slot the guests that CloudSim takes for completed there: those that want nothing at all.

    It looks a moment after each decision's time, when a guest is between two samples: both have to be 0.
    """
    nothing = (use == 0) & (np.c_[use[:, 1:], use[:, -1:]] == 0)
    return [{int(guest) for guest in np.flatnonzero(nothing[:, slot])} for slot in range(use.shape[1])]


def run_threshold(use: FloatArray, day: str, *, vanish: bool, threshold: float = 0.8) -> tuple[int, Published, Account]:
    """Return the migrations and figures of a day under the plain policy.

    With `vanish` guests that want nothing are gone for the rest of the day, as in CloudSim; else all stay.
    """
    places = begin(len(use))
    published, account = TwiceMoved(), AccountLedger(core_millicores=core_mips(), from_s=FIRST_S)
    cluster, clock = world(use, day, places, (published, account))
    on = [[guest for guest, place in enumerate(places) if place == host] for host in range(HOSTS)]
    policy = Threshold(on, threshold)
    loads = LoadMatrix(wanted_mips(use), linear=True)
    completed = vanishing(use) if vanish else [set()] * use.shape[1]
    moves_made = 0
    for slot in range(1, use.shape[1]):
        clock.advance_to(slot * SLOT_S)
        with cluster.present():
            for guest in sorted(completed[slot]):
                for host in cluster.location(guest_id(guest)):
                    cluster.kill_guest(guest_id(guest), host)
        policy.forget(completed[slot])
        moves = policy.decide(loads.at(slot * SLOT_S))
        moves_made += len(moves)
        for number in {target for _, _, target in moves}:
            if not cluster.hosts[host_id(number)].power.is_on:
                cluster.wake_host(host_id(number))
        with cluster.present():
            for guest, source, target in net(moves):
                cluster.start_migration(guest_id(guest), host_id(source), host_id(target))
        published.passing(moves)
        policy.move(net(moves))
    clock.advance_to(DAY_S)
    cluster.settle_accounts()
    return moves_made, published.figures(), account.figures()
