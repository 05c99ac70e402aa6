"""Plans and snapshots that the reports' and the command line's tests render."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster.plan import Estimate, Figures, Migrate, NotMoved, Plan, Sleep, Status, TierValue

TAKEN_AT = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


def small_plan() -> Plan:
    """A plan with a parking move, a final one after it, a host put to sleep, and a guest that stays."""
    return Plan(
        id="01JDABCDEF",
        snapshot="0123456789abcdef",
        policy="consolidate",
        level=3,
        seed=1,
        made_at=TAKEN_AT,
        expires_at=TAKEN_AT + timedelta(minutes=15),
        status=Status.FEASIBLE,
        why="one rule is mended and one host can sleep",
        goals=(
            TierValue("repair", 2.25, 0.0, 0.0, 0.0),
            TierValue("consolidate", 271.0, 210.5, 209.0, 0.024194),
            TierValue("moved_mib", 0.0, 9100.0, 9100.0, 0.0),
        ),
        gap=0.024194,
        steps=(
            Migrate(
                "s1", "g-1", "kvm-a1", "kvm-c1", "makes room on kvm-b2",
                Estimate(4096, 6.9, 40, 0.99, 5000, "unknown dirty rate"), "web-1", (), True, 0.0,
            ),
            Migrate(
                "s2", "g-1", "kvm-c1", "kvm-b2", "anti_affinity:web-apart broken on kvm-a1",
                Estimate(5004, 15.3, 40, 1.0, 5000), "web-1", ("s1",), False, 0.31,
            ),
            Sleep("s3", "kvm-a1", "empty once s2 is done", 98.0, ("s1", "s2")),
        ),
        before=Figures(12, 2710.0, 0.912, 0.18, 0.93, 0.201, 2),
        after=Figures(9, 2100.0, 0.61, 0.012, 0.7, 0.015, 0),
        not_moved=(NotMoved("g-9", "does_not_converge", "db-1 writes faster than the link carries"),),
        makespan_s=310.0,
        makespan_bound_s=290.0,
        moved_mib=9100,
        solve_s=0.42,
    )  # fmt: skip
