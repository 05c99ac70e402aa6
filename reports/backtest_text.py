"""A backtest for people and as data: moves, overload, energy against everything on, late wakes, forecasts' error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from reports import units

MOST_NAMED = 5
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class ForecastFigures:
    """Mean pinball losses in millicores at `quantile`, `ahead_s` ahead, over `moments`; `yesterday` may be unknown."""

    ahead_s: float
    quantile: float
    moments: int
    forecast: float
    persistence: float
    yesterday: float | None


@dataclass(frozen=True, slots=True)
class BacktestFigures:
    """What a backtest came to. Overload in minutes by host and guest, of those with any; ratios from 0 to 1.

    `all_on` figures are of the same loads with every host on and nothing moved. `wrong` are sentences on what never
    may happen and did, `missing` guests without history.
    """

    start: datetime
    lasted_s: float
    hosts: int
    guests: int
    moves_done: int
    moves_failed: int
    moved_mib: float
    kwh: float
    all_on_kwh: float
    unserved_ratio: float
    all_on_unserved_ratio: float
    host_overload_min: Mapping[str, float]
    all_on_host_overload_min: Mapping[str, float]
    guest_overload_min: Mapping[str, float]
    wakes: int
    late_wakes: int
    forecast: ForecastFigures | None
    wrong: tuple[str, ...]
    missing: tuple[str, ...]


def backtest_json(figures: BacktestFigures) -> dict[str, object]:
    """Return the figures as data ready for JSON, minutes and kWh rounded."""
    document = asdict(figures)
    document["start"] = f"{figures.start:%Y-%m-%dT%H:%M:%SZ}"
    for key in ("host_overload_min", "all_on_host_overload_min", "guest_overload_min"):
        document[key] = {one: round(minutes, 1) for one, minutes in sorted(document[key].items())}
    return document


def backtest_text(figures: BacktestFigures) -> str:
    """Return the figures for people."""
    one = figures
    lines = [
        f"Backtest of {units.duration(one.lasted_s)} from {units.moment(one.start)}: "
        f"{units.count(one.hosts, 'host')}, {units.count(one.guests, 'guest')}",
        "",
        f"  moves               {one.moves_done} done, {one.moves_failed} failed; {units.size(one.moved_mib)}",
        f"  energy              {units.kwh(one.kwh)}; {units.kwh(one.all_on_kwh)} with every host on and nothing moved",
        f"  hosts overloaded    {_minutes(one.host_overload_min)}",
        f"    nothing moved     {_minutes(one.all_on_host_overload_min)}",
        f"  guests on them      {_minutes(one.guest_overload_min)}",
        f"  CPU not served      {_share(one.unserved_ratio)}; {_share(one.all_on_unserved_ratio)} with nothing moved",
        f"  wake-ups            {one.wakes}, of them {one.late_wakes} too late",
        f"  forecast            {_forecast(one.forecast)}",
    ]
    if one.missing:
        lines.append(f"  without history     {_named(one.missing)}: at their present use all the while")
    lines += [f"  wrong: {units.plain(text)}" for text in one.wrong]
    return "\n".join(lines) + "\n"


def _minutes(by_id: Mapping[str, float]) -> str:
    if not by_id:
        return "never"
    worst = sorted(by_id, key=lambda one: (-by_id[one], one))
    named = ", ".join(f"{units.plain(one)} {by_id[one]:.0f}" for one in worst[:MOST_NAMED])
    more = f", {len(worst) - MOST_NAMED} more" if len(worst) > MOST_NAMED else ""
    return f"{sum(by_id.values()):.0f} min ({named}{more})"


def _share(ratio: float) -> str:
    return f"{ratio:.3%}".replace("%", " %")


def _named(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(units.plain(one) for one in names[:MOST_NAMED]) + more


def _forecast(figures: ForecastFigures | None) -> str:
    if figures is None:
        return "not judged: too little history, or not in slots of 5 minutes"
    others = [("persistence", figures.persistence), ("the same time yesterday", figures.yesterday)]
    against = [f"{_against(figures.forecast, loss)} than {name}" for name, loss in others if loss]
    ahead = f"{units.duration(figures.ahead_s)} ahead, {units.percent(figures.quantile)} quantile"
    return f"{ahead}: loss {figures.forecast:.1f} millicores" + "".join(f", {text}" for text in against)


def _against(loss: float, other: float) -> str:
    return f"{units.percent(abs(1 - loss / other))} {'less' if loss <= other else 'more'}"
