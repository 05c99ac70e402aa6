"""The store's contract: what every back end promises. One test suite runs over all of them.

Every method is atomic and raises `StoreUnavailableError` when the back end does not answer. Methods given a fencing
`token` raise `FencedError`, changing nothing, unless it equals the current lease's token. What is written by a
journal method is on disk when the call returns (Redis: `appendfsync always`, `noeviction`; `doctor` checks it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cluster.history import Metric, UsageRing
from cluster.migration.learned import MoveFact
from cluster.plan import JournalEntry, Plan, PlanRecord, PlanState, StepRecord, StepState
from cluster.rates import Permit
from cluster.report import Report


@dataclass(frozen=True, slots=True)
class Lease:
    """Leadership: who holds it and the fencing token, which grows with every change of holder."""

    holder: str
    token: int


@dataclass(frozen=True, slots=True)
class Command:
    """Something a person asked for, to be carried out by the leader: `verb` with its arguments."""

    id: str
    verb: str
    argument: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure of a guest's usage, in its metric's unit, to be recorded."""

    guest: str
    metric: Metric
    at: datetime
    value: int


class Store(Protocol):
    """Shared memory of agents, schedulers and people."""

    # -- reports ---------------------------------------------------------------------------------------------------
    def put_report(self, report: Report, ttl_s: float) -> bool:
        """Keep a host's report until it expires. Return false, changing nothing, when a newer one is held.

        The same report again changes nothing either, and returns true: it is held.
        """

    def reports(self) -> tuple[Report, ...]:
        """Return the reports that have not expired, by host id."""

    # -- usage history ---------------------------------------------------------------------------------------------
    def record_usage(self, guest: str, metric: Metric, at: datetime, value: int) -> None:
        """Add a sample to its 5-minute slot (the slot's figure is the mean of its samples). O(1) whatever is held."""

    def record_samples(self, samples: Sequence[Sample]) -> None:
        """Record many samples, each as `record_usage` would, in few journeys; atomic one by one, not as a whole."""

    def usage(self, guest: str, metric: Metric) -> UsageRing:
        """Return four weeks of slots, read in one piece; empty when nothing was recorded."""

    # -- leadership ------------------------------------------------------------------------------------------------
    def acquire_lease(self, holder: str, ttl_s: float) -> Lease | None:
        """Take or renew leadership. A new holder gets a greater token. `None`: somebody else holds it.

        `holder` names one process: two that share a name share the lease. After expiry even the same holder gets a
        greater token.
        """

    def release_lease(self, lease: Lease) -> None:
        """Give leadership up, if still held."""

    # -- journal ---------------------------------------------------------------------------------------------------
    def open_plan(self, plan: Plan, state: PlanState, token: int, at: datetime) -> None:
        """Write a plan down as `waiting` or `active`. `ConflictError` while another is under way, or id known."""

    def set_plan_state(self, plan: str, state: PlanState, token: int, at: datetime, why: str) -> None:
        """Move a plan on. `ConflictError` for an unknown or ended plan, a second one under way, or back to waiting."""

    def write_step(
        self, plan: str, step: str, expected: StepState, record: StepRecord, permits: Sequence[Permit] = ()
    ) -> None:
        """Change a step's record, if its state is `expected` (else `ConflictError`); token is the record's.

        A change of state is appended to the journal; progress alone is not. A step that ends `done` stamps its guest's
        last move with `record.at`. The `permits` are taken with it, all or nothing: `RateLimitError`, changing
        nothing, when one is used up. A step that ends `refused` gives its permits back, since nothing was begun; one
        that ends otherwise those that count while it is under way (`unresolved`: not before the mark is lifted).
        """

    def permits_taken(self) -> Mapping[str, int]:
        """Return how many permits count now, by key, without those that nobody holds."""

    def note_step(self, plan: str, step: str, word: str, token: int, at: datetime, text: str) -> None:
        """Append a line of a step's own doings to the journal; the step's record stays. `ConflictError`: unknown.

        `word` stands where a state would, and is none.
        """

    def active_plan(self) -> PlanRecord | None:
        """Return the plan that is active or stopping."""

    def plan(self, plan: str) -> PlanRecord | None:
        """Return a plan by id."""

    def plans(self, most: int) -> tuple[PlanRecord, ...]:
        """Return the latest plans, newest first."""

    def journal(self, most: int) -> tuple[JournalEntry, ...]:
        """Return the latest journal entries, oldest first."""

    def record_move(self, fact: MoveFact) -> None:
        """Keep what a finished migration took; the latest `MOVES_KEPT` are held. The same one again may be held twice.

        Nothing is lost but knowledge when a fact is: it needs no token.
        """

    def moves(self) -> tuple[MoveFact, ...]:
        """Return what migrations took, oldest first; without those that this version cannot read."""

    def put_energy_day(self, day: str, text: str, token: int) -> None:
        """Keep what is known of a day's energy, by its date as YYYY-MM-DD; the latest `ENERGY_DAYS_KEPT` are held."""

    def energy_days(self, most: int) -> Mapping[str, str]:
        """Return what is known of the latest days, oldest first."""

    def last_moves(self) -> Mapping[str, datetime]:
        """Return when each guest was last moved by us."""

    def unresolved(self) -> Mapping[str, str]:
        """Return guests (id to sentence) whose last step is `unresolved`: nothing may touch them.

        The mark is lifted by `resolve`, or when the step that made it is written in another state; never by another
        step, which says nothing of where the guest runs.
        """

    def resolve(self, guest: str, by: str, at: datetime) -> None:
        """Lift a guest's `unresolved` mark: an operator has looked."""

    # -- what people asked for -------------------------------------------------------------------------------------
    def set_flag(self, flag: str, value: str | None) -> None:
        """Set or (with `None`) clear a flag: `paused`, `cordon:HOST`, `drain:HOST`, `fail:HOST`, ..."""

    def flags(self) -> Mapping[str, str]:
        """Return all flags, by name."""

    def push_command(self, command: Command) -> None:
        """Queue a command for the leader. One with an id pushed within the last day changes nothing."""

    def take_commands(self) -> tuple[Command, ...]:
        """Take all queued commands, oldest first, each exactly once."""

    # -- what the daemon says --------------------------------------------------------------------------------------
    def put_status(self, text: str, ttl_s: float) -> None:
        """Publish the daemon's status (JSON) until it expires."""

    def status(self) -> str | None:
        """Return the daemon's status, or `None` when no daemon has published within its time."""

    # -- health ----------------------------------------------------------------------------------------------------
    def durability_problems(self) -> tuple[str, ...]:
        """Say what makes journal and lease unsafe here (`appendfsync`, eviction, version); empty when all is well."""

    def ping(self) -> None:
        """Raise `StoreUnavailableError` unless the store answers."""

    def close(self) -> None:
        """Let go of connections and of a server that was started for this store."""
