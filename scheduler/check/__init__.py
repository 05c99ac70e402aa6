"""The independent checker: what it finds wrong with a plan or a cluster. Shares no code with what makes plans.

A plan with findings is never executed.
"""

from scheduler.check.cluster import Finding, check_cluster
from scheduler.check.hold import why_plan_no_longer_holds, why_step_no_longer_holds
from scheduler.check.plan import check_plan

__all__ = ["Finding", "check_cluster", "check_plan", "why_plan_no_longer_holds", "why_step_no_longer_holds"]
