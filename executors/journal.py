"""The runner's pen: journal writes that carry the fencing token of the pass they belong to, or are not made at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cluster.clock import Clock
from cluster.errors import ConflictError, FencedError, StoreUnavailableError
from cluster.migration.backoff import after_failure, flag_of
from cluster.plan import Plan, PlanRecord, PlanState, Step, StepRecord, StepState
from cluster.rates import Permit
from cluster.store.protocol import Lease, Store

LOOK_BACK = 500
"""Lines of the journal in which a step's own are looked for."""


class Journal:
    """Writes what becomes of a plan's steps. Every method raises what the store raises.

    `lease` gives the leadership this process holds now, by its own clock, or `None`. What a pass read under one token
    it may not write under another: leadership lost and won back in between means that somebody else has acted.
    """

    def __init__(self, store: Store, clock: Clock, lease: Callable[[], Lease | None]) -> None:
        self._store = store
        self._clock = clock
        self._lease = lease
        self._token: int | None = None

    def enter(self) -> int:
        """Begin a pass and return the token that it writes with. `FencedError` without leadership."""
        self._token = None
        self._token = self.token()
        return self._token

    def token(self) -> int:
        """Return the pass's token. `FencedError` when leadership is not held any more, or anew."""
        lease = self._lease()
        if lease is None:
            raise FencedError("this scheduler is not the leader (any more): it starts nothing and writes nothing")
        if self._token is not None and lease.token != self._token:
            raise FencedError(
                f"leadership with token {self._token} was lost and won back: the world is looked at again"
            )
        return lease.token

    def holds(self, token: int) -> bool:
        """Tell whether leadership is held now with this very token. For any thread."""
        lease = self._lease()
        return lease is not None and lease.token == token

    def confirms(self, record: PlanRecord, step: Step, token: int) -> bool:
        """Ask the store, too, whether the step is begun under this token and leadership held with it. For any thread.

        By writing the step's record once more: the store compares tokens and state, and changes nothing. A process that
        stood still together with its clock does not know by itself that another leads.
        """
        if not self.holds(token):
            return False
        try:
            self._store.write_step(record.plan.id, step.id, StepState.RUNNING, record.steps[step.id])
        except (FencedError, ConflictError, StoreUnavailableError):
            return False
        return self.holds(token)

    def active(self) -> PlanRecord | None:
        """Return the plan that is active or stopping."""
        return self._store.active_plan()

    def unresolved(self) -> Mapping[str, str]:
        """Return the guests that nothing may touch."""
        return self._store.unresolved()

    def permits_taken(self) -> Mapping[str, int]:
        """Return how many permits of rate limits count now, by key."""
        return self._store.permits_taken()

    def open(self, plan: Plan) -> None:
        """Make a plan the active one: a new one is written down, one that waited for approval moves on."""
        known = self._store.plan(plan.id)
        if known is not None and known.state is PlanState.WAITING:
            self._store.set_plan_state(plan.id, PlanState.ACTIVE, self.token(), self._clock.now(), "approved")
        else:
            self._store.open_plan(plan, PlanState.ACTIVE, self.token(), self._clock.now())

    def move_plan(self, plan: str, state: PlanState, why: str) -> None:
        """Set the plan's state."""
        self._store.set_plan_state(plan, state, self.token(), self._clock.now(), why)

    def note(self, record: PlanRecord, step: Step, word: str, text: str) -> None:
        """Write a line of a running step's own doings."""
        self._store.note_step(record.plan.id, step.id, word, self.token(), self._clock.now(), text)

    def noted(self, record: PlanRecord, step: Step) -> frozenset[str]:
        """Return the words of all that the latest journal has of a step."""
        return frozenset(
            entry.state
            for entry in self._store.journal(LOOK_BACK)
            if (entry.plan, entry.step) == (record.plan.id, step.id)
        )

    def mark_convergence(self, guest: str, state: StepState, *, gave_up: bool) -> None:
        """Leave a guest that did not converge out of plans for a while, longer each time; one that did is free again.

        Before its step's end is written, so that no plan is made in between.
        """
        if state is not StepState.DONE and not gave_up:
            return
        self.token()
        flag = flag_of(guest)
        known = self._store.flags().get(flag)
        if gave_up and state is not StepState.DONE:
            self._store.set_flag(flag, after_failure(known, self._clock.now()))
        elif known is not None:
            self._store.set_flag(flag, None)

    def begin(self, record: PlanRecord, step: Step, detail: str, permits: Sequence[Permit] = ()) -> StepRecord:
        """Write down that a step is about to be started, taking its permits. Whoever returns may start it, once.

        `RateLimitError`, nothing being written: somebody has taken the last permit meanwhile.
        """
        new = StepRecord(StepState.RUNNING, self._clock.now(), self.token(), detail)
        self._store.write_step(record.plan.id, step.id, StepState.WAITING, new, permits)
        return new

    def progress(self, record: PlanRecord, step: Step, ratio: float, mib: int, downtime_ms: int | None) -> StepRecord:
        """Write a running step's figures. Its `at` and `detail` stay those of its start."""
        old = record.steps[step.id]
        new = StepRecord(StepState.RUNNING, old.at, self.token(), old.detail, ratio, mib, downtime_ms)
        self._store.write_step(record.plan.id, step.id, StepState.RUNNING, new)
        return new

    def end(
        self,
        record: PlanRecord,
        step: Step,
        state: StepState,
        detail: str,
        *,
        ratio: float = 0.0,
        mib: int = 0,
        downtime_ms: int | None = None,
    ) -> StepRecord:
        """Write a step's final state, whatever it was before."""
        new = StepRecord(state, self._clock.now(), self.token(), detail, ratio, mib, downtime_ms)
        self._store.write_step(record.plan.id, step.id, record.step_state(step.id), new)
        return new
