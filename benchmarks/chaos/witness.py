"""The witness: sees who runs where at every change of the world, and judges every start and every word of the journal.

It believes nothing that a scheduler says: guests are looked for in the world itself, tokens where the store grants
them. What an injected fault or an operator did is nobody's fault and is noted as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cluster.clock import Clock
from cluster.config.settings import BudgetScope, Settings
from cluster.host import PowerState
from cluster.plan import EVACUATE, Migrate, PlanRecord, Sleep, StepRecord, StepState, Wake
from cluster.rates import Permit
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Lease
from simulator.faults import Fault
from simulator.watcher import Holding
from simulator.world import World

STAYED = (StepState.REFUSED, StepState.FAILED, StepState.ABORTED)


@dataclass(frozen=True, slots=True)
class Start:
    """A migration that a scheduler sets going: who, for which step, and whether it was held up in the last window.

    The last window is between the permit and the host's answer, where no token can be checked any more.
    """

    holder: str
    plan: str
    step: Migrate
    held_up: bool


@dataclass
class Witness:
    """Keeps `wrong`, a line for each thing that must never happen and did, and counts what did happen."""

    settings: Settings
    now_s: Callable[[], float]
    wrong: list[str] = field(default_factory=list)
    tokens: dict[int, str] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    by_hand: set[str] = field(default_factory=set)
    starts: dict[tuple[str, str], Start] = field(default_factory=dict)
    under_way: dict[str, Start] = field(default_factory=dict)
    acting: Start | None = None
    done: int = 0
    ended_otherwise: int = 0
    held_up: int = 0
    busiest_ratio: float = 0.0
    crowded: set[str] = field(default_factory=set)
    """Hosts whose memory somebody else than a scheduler under the law has filled."""

    def accuse(self, text: str) -> None:
        """Write down what must not have happened."""
        self.wrong.append(f"at {self.now_s():.2f} s: {text}")

    # -- the world -------------------------------------------------------------------------------------------------
    def look(self, world: World) -> None:
        """Look at who runs where: each guest once, unless a fault took it; each host within its memory."""
        running: dict[str, list[str]] = {}
        for host, on in world.holdings.items():
            for guest, how in on.items():
                if how is Holding.RUNNING:
                    running.setdefault(guest, []).append(host)
        for guest in world.guests:
            places = running.get(guest, [])
            if len(places) > 1:
                self.accuse(f"guest {guest} runs on {' and '.join(places)}")
            if not places and guest not in self.dead:
                self.accuse(f"guest {guest} is lost, and no fault took it")
        for host, on in world.holdings.items():
            facts = world.hosts[host].facts
            held = sum(world.guests[guest].facts.memory_demand_mib for guest in on)
            room = facts.memory_mib - facts.reserved.memory_mib
            if held > room and host not in self.crowded:
                self.crowded.add(host)
                self.accuse(f"host {host} holds {held} MiB of {room} MiB")
        self.under_way = {guest: start for guest, start in self.under_way.items() if guest in world.migrations}

    def dies(self, world: World, guest: str, host: str) -> None:
        """Note a QEMU that dies: by a fault, unless its host was put to sleep under it."""
        if world.holdings[host].get(guest) is not Holding.RUNNING:
            return
        if world.hosts[host].power.state is PowerState.ASLEEP and guest not in self.by_hand:
            self.accuse(f"guest {guest} went down with {host}, which was put to sleep")
        self.dead.add(guest)

    def expects_start(self, guest: str, target: str) -> None:
        """Hear of a migration that is asked for: by a scheduler, which has said so in `acting`, or by a person.

        What was let through before leadership was lost is harmless by the step's own precondition, but may come to a
        host that others count on by now.
        """
        if self.acting is None:
            self.by_hand.add(guest)
        if self.acting is None or self.acting.held_up:
            self.crowded.add(target)

    def sees_start(self, store: WatchedStore, guest: str) -> None:
        """Judge a migration that has just begun."""
        start, self.acting = self.acting, None
        if start is None:
            return
        self.under_way[guest] = start
        if start.held_up:
            self.held_up += 1
            self.by_hand.add(guest)
        else:
            self._judge_token(store, start)
            self._judge_slots(start, store.plan(start.plan))
        record = store.plan(start.plan)
        self._judge_rate(start, record is not None and record.plan.policy == EVACUATE)
        earlier = self.starts.setdefault((start.plan, start.step.id), start)
        if earlier.holder != start.holder:
            self.accuse(f"step {start.step.id} was begun by {earlier.holder} and again by {start.holder}")

    def _judge_rate(self, start: Start, is_urgent: bool) -> None:
        """Emptying a failing host is counted and not held back."""
        most = self.settings.rates.cluster_per_hour
        begun = len(self.starts.keys() | {(start.plan, start.step.id)})
        if most is not None and begun > most and not is_urgent:
            self.accuse(f"{begun} migrations begun within the hour, {most} allowed")

    def sees_leaders(self, holders: Sequence[str]) -> None:
        """Judge who takes itself for the leader at one moment."""
        if len(holders) > 1:
            self.accuse(f"{' and '.join(holders)} lead at once")

    def sees_power(self, holder: str, step: Sleep | Wake) -> None:
        """Judge a host that is about to be put to sleep or woken."""
        newest = max(self.tokens)
        if self.tokens[newest] != holder:
            self.accuse(f"{holder} began {step.id} of {step.host}, but {self.tokens[newest]} leads with token {newest}")

    def _judge_token(self, store: WatchedStore, start: Start) -> None:
        newest = max(self.tokens)
        if self.tokens[newest] != start.holder:
            self.accuse(f"{start.holder} began {start.step.id}, but {self.tokens[newest]} leads with token {newest}")
        record = store.plan(start.plan)
        written = record.steps.get(start.step.id) if record is not None else None
        if written is None or (written.state, written.token) != (StepState.RUNNING, newest):
            self.accuse(f"{start.step.id} begins, but the journal says {written}, the newest token is {newest}")

    def _judge_slots(self, start: Start, record: PlanRecord | None) -> None:
        migration = self.settings.migration
        most = migration.for_policy(record.plan.policy) if record is not None else migration
        steps = [one.step for one in self.under_way.values() if not one.held_up]
        for what, number, allowed in (
            (f"leave {start.step.source}", sum(one.source == start.step.source for one in steps), most.out_per_host),
            (f"come to {start.step.target}", sum(one.target == start.step.target for one in steps), most.in_per_host),
            ("are under way", len(steps), most.per_cluster),
        ):
            if number > allowed:
                self.accuse(f"{number} migrations {what}, {allowed} allowed")

    def judge_rates(self, world: World) -> None:
        """Look at what flows over each link that has a budget, once rates have changed."""
        flows = [one for guest, one in world.migrations.items() if guest in self.under_way]
        if any(start.held_up for start in self.under_way.values()):
            return
        links = {link.name: link.hosts for link in self.settings.links}
        for budget in self.settings.budgets:
            most_mib_s = budget.mbit_s * 1e6 / 8 / 2**20
            over: dict[str, float] = {}
            for flow in flows:
                match budget.scope:
                    case BudgetScope.HOST_OUT:
                        over[flow.source] = over.get(flow.source, 0.0) + flow.rate_mib_s
                    case BudgetScope.HOST_IN:
                        over[flow.target] = over.get(flow.target, 0.0) + flow.rate_mib_s
                    case BudgetScope.CLUSTER:
                        over["cluster"] = over.get("cluster", 0.0) + flow.rate_mib_s
                    case BudgetScope.LINK:
                        behind = links[budget.name]
                        if (flow.source in behind) != (flow.target in behind):
                            over[budget.name] = over.get(budget.name, 0.0) + flow.rate_mib_s
            for name, mib_s in over.items():
                self.busiest_ratio = max(self.busiest_ratio, mib_s / most_mib_s)
                if mib_s > most_mib_s * 1.001:
                    self.accuse(f"{budget.scope} {name} carries {mib_s:.1f} MiB/s, its budget is {most_mib_s:.1f}")

    def hears(self, line: str) -> None:
        """Hear what a scheduler says of moves by hand: only of guests that somebody else has moved."""
        words = line.split()
        if line.endswith("by somebody else") and words[1] not in self.by_hand:
            self.accuse(f"a scheduler says: {line}")

    # -- the journal -----------------------------------------------------------------------------------------------
    def reads(self, world: World, plan: PlanRecord, step_id: str, record: StepRecord) -> None:
        """Judge what the journal says of a step that ended against the world."""
        step = next(one for one in plan.plan.steps if one.id == step_id)
        if record.state is StepState.DONE:
            self.done += 1
        elif record.state.is_final:
            self.ended_otherwise += 1
        sleeps = isinstance(step, Sleep) and record.state is StepState.DONE
        if isinstance(step, Sleep) and sleeps and world.hosts[step.host].power.state is PowerState.ON:
            self.accuse(f"the journal says {step.host} sleeps, and it is on")
        if not isinstance(step, Migrate) or step.guest in self.dead | self.by_hand:
            return
        on = world.location(step.guest)
        job = self.under_way.get(step.guest)
        own_job = job is not None and (job.plan, job.step.id) == (plan.plan.id, step_id)
        if record.state is StepState.DONE and on != (step.target,):
            self.accuse(f"the journal says {step.guest} arrived on {step.target}; it runs on {' '.join(on)}")
        if record.state in STAYED and on == (step.target,):
            self.accuse(f"the journal says {record.state} of {step_id}, and {step.guest} is on {step.target}")
        if record.state in STAYED and own_job:
            self.accuse(f"the journal says {record.state} of {step_id}, and its migration is under way")


class WatchedWorld(World):
    """A world that tells its witness of every change."""

    witness: Witness
    store: WatchedStore

    def placement_changed(self, guest: str = "", *hosts: str) -> None:
        super().placement_changed(guest, *hosts)
        self.witness.look(self)

    def divide_links(self) -> None:
        super().divide_links()
        self.witness.judge_rates(self)

    def kill_guest(self, guest: str, host: str) -> None:
        self.witness.dies(self, guest, host)
        super().kill_guest(guest, host)

    def start_migration(self, guest: str, source: str, target: str, limit_mib_s: float | None = None) -> None:
        self.witness.expects_start(guest, target)
        super().start_migration(guest, source, target, limit_mib_s)
        self.witness.sees_start(self.store, guest)

    def plan_fault(self, fault: Fault) -> None:
        """Have a fault happen at its time."""
        self._pending = sorted([*self._pending, fault], key=lambda one: one.at_s)

    def forget_faults(self) -> None:
        """Let no fault happen that has not yet."""
        self._pending.clear()
        self.armed.clear()

    def mend(self) -> None:
        """Let every fault that can be over be over: hosts answer again, monitors and agents are back."""
        with self.present():
            self.forget_faults()
            self.hung.clear()
            for one in self.migrations.values():
                one.traps.clear()
            for host in self.hosts.values():
                host.last_report = None
                host.reachable = host.reachable or host.power.state is not PowerState.OFF


class WatchedStore(MemoryStore):
    """The store itself, which tells the witness which tokens it grants and how steps are said to have ended."""

    def __init__(self, clock: Clock, world: WatchedWorld, witness: Witness) -> None:
        super().__init__(clock)
        self._world = world
        self._witness = witness

    def acquire_lease(self, holder: str, ttl_s: float) -> Lease | None:
        lease = super().acquire_lease(holder, ttl_s)
        if lease is not None:
            self._witness.tokens[lease.token] = lease.holder
        return lease

    def write_step(
        self, plan: str, step: str, expected: StepState, record: StepRecord, permits: Sequence[Permit] = ()
    ) -> None:
        super().write_step(plan, step, expected, record, permits)
        if record.state is not expected and (written := self.plan(plan)) is not None:
            self._witness.reads(self._world, written, step, record)
