"""A backtest's outcome as the plain figures that reports show."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.snapshot import Snapshot
from reports.backtest_text import MINUTE_S, BacktestFigures, ForecastFigures
from scheduler.replay.backtest import Backtest


def figures_of(found: Backtest, snapshot: Snapshot) -> BacktestFigures:
    """Return the figures, guests by the names that people know them by."""
    title = {guest.id: guest.title for guest in snapshot.guests}
    account, quiet, error = found.account, found.all_on, found.error
    return BacktestFigures(
        start=found.start,
        lasted_s=found.lasted_s,
        hosts=len(snapshot.hosts),
        guests=len(snapshot.guests),
        moves_done=found.moves_done,
        moves_failed=found.moves_failed,
        moved_mib=round(found.moved_mib, 1),
        kwh=round(account.kwh, 6),
        all_on_kwh=round(quiet.kwh, 6),
        unserved_ratio=round(account.unserved_ratio, 9),
        all_on_unserved_ratio=round(quiet.unserved_ratio, 9),
        host_overload_min=_minutes(account.host_overload_s),
        all_on_host_overload_min=_minutes(quiet.host_overload_s),
        guest_overload_min={title[one]: minutes for one, minutes in _minutes(account.guest_overload_s).items()},
        wakes=account.wakes,
        late_wakes=account.late_wakes,
        forecast=None
        if error is None
        else ForecastFigures(
            error.ahead_s,
            error.quantile,
            error.moments,
            round(error.forecast, 3),
            round(error.persistence, 3),
            None if error.yesterday is None else round(error.yesterday, 3),
        ),
        wrong=found.wrong,
        missing=found.missing,
    )


def _minutes(seconds: Mapping[str, float]) -> dict[str, float]:
    return {one: passed / MINUTE_S for one, passed in sorted(seconds.items())}
