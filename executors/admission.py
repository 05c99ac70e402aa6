"""What a migration whose turn it is still has to wait for: a slot, permits of rate limits, bandwidth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cluster.clock import Clock
from cluster.config.settings import MigrationSettings
from cluster.plan import Migrate, PlanRecord, Step, StepState
from executors.bandwidth import Bandwidth, Running
from executors.journal import Journal
from executors.slots import why_no_cpu, why_no_slot
from executors.terms import SpareCpu, Terms, TermsOf


class Admission:
    """Looks at limits before a step is looked at in the world. What it says may be asked again in every pass.

    `waits` are the sentences of steps that wait for more than their turn or a slot, by step id.
    """

    def __init__(
        self,
        journal: Journal,
        bandwidth: Bandwidth,
        settings: MigrationSettings,
        terms: TermsOf,
        clock: Clock,
        spare_millicores: SpareCpu,
    ) -> None:
        self._journal = journal
        self._bandwidth = bandwidth
        self._settings = settings
        self._terms_of = terms
        self._clock = clock
        self._spare_millicores = spare_millicores
        self._terms: dict[str, Terms] = {}
        self._taken: Mapping[str, int] | None = None
        self._seen: tuple[PlanRecord, Sequence[Migrate]] | None = None
        self._lacking: set[str] = set()
        self._told: set[str] = set()
        self.waits: dict[str, str] = {}

    def clear(self) -> None:
        """Forget everything: another plan, or another leader before us."""
        self._terms.clear()
        self._bandwidth.clear()
        self._lacking.clear()
        self._told.clear()
        self.waits = {}

    def enter(self, record: PlanRecord) -> None:
        """Begin a pass: divide the links among what runs."""
        self._taken = None
        self.waits = {step: why for step, why in self.waits.items() if record.step_state(step) is StepState.WAITING}
        running = self._running(record)
        flowing = [step.id for step in running if record.steps[step.id].mib > 0]
        self._bandwidth.share(self._with_downtimes(record, running), flowing)

    def terms(self, record: PlanRecord, step: Migrate) -> Terms:
        """Return a step's terms, asked for once."""
        if step.id not in self._terms:
            self._terms[step.id] = self._terms_of(record.plan, step)
        return self._terms[step.id]

    def has_slot(self, record: PlanRecord, step: Migrate) -> bool:
        """Tell whether one more may be under way from this host, to that one, and in the cluster: slots and CPU."""
        settings = self._settings.for_policy(record.plan.policy)
        running = self._running(record)
        if why_no_slot(step, running, settings) is not None:
            return False
        overhead = settings.cpu_overhead_millicores
        return not (overhead and running) or why_no_cpu(step, running, overhead, self._spare_millicores()) is None

    def why_wait(self, record: PlanRecord, step: Migrate) -> str | None:
        """Say why a step with a slot has to wait; `None`: nothing is in its way, or its plan's time is over."""
        why = None
        if self._clock.now() < record.plan.expires_at:
            why = self._why_no_permit(record, step) or self._bandwidth.why_wait(
                step, self._with_downtimes(record, self._running(record))
            )
        self.note(step, why)
        return why

    def is_news(self, why: str) -> bool:
        """Tell whether a reason to wait is worth a line in the log: a rate limit, once in a plan.

        Who waits for bandwidth is in its turn soon; only the status shows it.
        """
        if why not in self._lacking - self._told:
            return False
        self._told.add(why)
        return True

    def make_room(self, record: PlanRecord, step: Migrate) -> int | None:
        """Lower what runs and return the limit that the step starts with; `None`: it has to wait after all."""
        running = self._with_downtimes(record, self._running(record))
        return self._bandwidth.make_room(step, self.terms(record, step).downtime_s, running)

    def limit_mib_s(self, step: Migrate) -> int:
        """Return the bandwidth cap that a running migration has now (0: none)."""
        return self._bandwidth.limit_mib_s(step)

    def note(self, step: Step, why: str | None) -> None:
        """Remember why a step waits, or that it does not."""
        if why is None:
            self.waits.pop(step.id, None)
        else:
            self.waits[step.id] = why

    def _why_no_permit(self, record: PlanRecord, step: Migrate) -> str | None:
        permits = self.terms(record, step).permits
        if permits and self._taken is None:
            self._taken = self._journal.permits_taken()
        taken = self._taken or {}
        lacking = next((one for one in permits if taken.get(one.key, 0) >= one.most), None)
        if lacking is None:
            return None
        self._lacking.add(lacking.why)
        return lacking.why

    def _with_downtimes(self, record: PlanRecord, steps: Iterable[Migrate]) -> Running:
        return tuple((step, self.terms(record, step).downtime_s) for step in steps)

    def _running(self, record: PlanRecord) -> Sequence[Migrate]:
        # Asked for each waiting step of a pass: worked out once per record, which is never changed in place.
        if self._seen is None or self._seen[0] is not record:
            steps = record.plan.migrations
            self._seen = record, [step for step in steps if record.step_state(step.id) is StepState.RUNNING]
        return self._seen[1]
