"""What is remembered when a power step is over: that a host sleeps by our doing, and when it changed."""

from __future__ import annotations

from datetime import datetime

from cluster import power_log
from cluster.host import PowerState
from cluster.plan import Sleep, StepState, Wake
from cluster.power_sight import BY_HAND, FACTS, THEIRS, facts_text
from cluster.store.protocol import Store
from executors.events import Event, EventKind

CONSOLIDATE = "consolidate"


def note_power(event: Event, store: Store, now: datetime) -> None:
    """Write down a power step that is done; anything else is let pass. `StoreUnavailableError`."""
    if event.kind is EventKind.ENDED and isinstance(event.step, Wake):
        store.set_flag(BY_HAND + event.step.host, None)  # a person's wish counts for one wake
    if event.kind is not EventKind.ENDED or event.state != StepState.DONE or not isinstance(event.step, Sleep | Wake):
        return
    host, slept = event.step.host, isinstance(event.step, Sleep)
    record = store.plan(event.plan)
    by_hand = slept and record is not None and record.plan.policy != CONSOLIDATE
    store.set_flag(THEIRS + host, "asleep" if by_hand else None)
    if slept and (report := next((one for one in store.reports() if one.host == host), None)) is not None:
        store.set_flag(FACTS + host, facts_text(report))  # its report expires while it sleeps
    store.set_flag(f"power:{host}", PowerState.ASLEEP.value if slept else None)
    log = power_log.flag_of(host)
    state = PowerState.ASLEEP if slept else PowerState.ON
    store.set_flag(log, power_log.with_transition(store.flags().get(log), now, state))
