"""How many guests may be under way at once: per host out and in, per cluster, and one step per guest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cluster.config.settings import MigrationSettings
from cluster.migration.cpu import has_cpu_beside
from cluster.plan import Migrate

MIB = 1 << 20


def why_no_slot(step: Migrate, running: Iterable[Migrate], settings: MigrationSettings) -> str | None:
    """Say why a migration has to wait for those `running`. `None`: there is room for it now."""
    others = tuple(running)
    if any(other.guest == step.guest for other in others):
        return "the guest is already under way"
    if len(others) >= settings.per_cluster:
        return f"{len(others)} migrations run in the cluster"
    leaving = sum(other.source == step.source for other in others)
    if leaving >= settings.out_per_host:
        return f"{leaving} migrations leave {step.source}"
    arriving = sum(other.target == step.target for other in others)
    if arriving >= settings.in_per_host:
        return f"{arriving} migrations come to {step.target}"
    return None


def why_no_cpu(
    step: Migrate, running: Iterable[Migrate], overhead_millicores: int, spare_millicores: Mapping[str, int]
) -> str | None:
    """Say why a migration has to wait for CPU at one of its ends. `None`: there is enough, or no other there."""
    others = tuple(running)
    for host in (step.source, step.target):
        there = sum(host in (other.source, other.target) for other in others)
        if not has_cpu_beside(host, there, overhead_millicores, spare_millicores):
            return f"{host} has no CPU for one more migration within limits.cpu"
    return None


def limit_mib_s(settings: MigrationSettings) -> int:
    """Bandwidth cap of one migration in whole MiB/s, never rounded up past the setting (at least 1); 0: none is set."""
    if settings.mbit_s is None:
        return 0
    return max(1, int(settings.mbit_s * 1_000_000 / 8 / MIB))
