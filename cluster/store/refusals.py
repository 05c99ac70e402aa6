"""The sentences with which a store refuses a write, shared by every back end. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.errors import ConflictError, FencedError, RateLimitError
from cluster.plan import PlanState, StepState
from cluster.store.protocol import Sample

OPENING = frozenset({PlanState.WAITING, PlanState.ACTIVE})
"""States a plan may be opened in."""

UNDER_WAY = frozenset({PlanState.ACTIVE, PlanState.STOPPING})
"""States of which one plan at a time may be in."""

OVER = frozenset({PlanState.ENDED, PlanState.REJECTED})
"""States that no plan leaves."""


def fenced(token: int, current: int | None) -> FencedError:
    """Refuse a write whose token is not the lease's."""
    held = "nobody holds the lease" if current is None else f"the lease's token is {current}"
    return FencedError(f"write with token {token} refused: {held}; this process is not the leader and must stop acting")


def plan_under_way(plan: str, other: str) -> ConflictError:
    """Refuse a plan while another is active or stopping."""
    return ConflictError(f"plan {plan} refused: plan {other} is under way; wait for it or abort it")


def plan_known(plan: str) -> ConflictError:
    """Refuse to open a plan twice."""
    return ConflictError(f"plan {plan} refused: it is in the journal already; make a new plan")


def plan_unknown(plan: str) -> ConflictError:
    """Refuse a change of a plan that was never opened."""
    return ConflictError(f"plan {plan} is not in the journal; look at the plans with: trimtab history")


def plan_over(plan: str, state: PlanState) -> ConflictError:
    """Refuse to move a plan that has ended."""
    return ConflictError(f"plan {plan} is {state} already; make a new plan")


def plan_back(plan: str, state: PlanState) -> ConflictError:
    """Refuse to make a plan that is under way wait again."""
    return ConflictError(f"plan {plan} is {state} and cannot go back to waiting; abort it instead")


def step_unknown(plan: str, step: str) -> ConflictError:
    """Refuse a record of a step that the plan does not have."""
    return ConflictError(f"plan {plan} has no step {step}")


def step_changed(plan: str, step: str, state: StepState, expected: StepState) -> ConflictError:
    """Refuse a step's record that was based on another state."""
    return ConflictError(f"step {step} of plan {plan} is {state}, not {expected}; look again before going on")


def no_permit(plan: str, step: str, key: str) -> RateLimitError:
    """Refuse a step for which a rate limit has no permit left."""
    return RateLimitError(f"step {step} of plan {plan} has to wait: the rate limit of {key} is used up")


def check_opening(plan: str, state: PlanState) -> None:
    """Raise `ValueError`, a caller's mistake, for a state that no plan is opened in."""
    if state not in OPENING:
        raise ValueError(f"plan {plan} cannot be opened as {state}")


def check_samples(samples: Sequence[Sample]) -> None:
    """Raise `ValueError`, a caller's mistake, for a usage below zero: unknown is not recorded at all."""
    for sample in samples:
        if sample.value < 0:
            raise ValueError(f"usage {sample.value} of guest {sample.guest} is below zero")


def sentence(plan: str, step: str, detail: str) -> str:
    """Return what `unresolved` says of a guest: the step's own detail, or where to look when it has none."""
    return detail or f"step {step} of plan {plan} ended unresolved"


def lifted_by(by: str) -> str:
    """Return the journal's detail for a lifted `unresolved` mark."""
    return f"unresolved mark lifted by {by}"


RESOLVED = "resolved"
"""The journal's state for a lifted `unresolved` mark."""
