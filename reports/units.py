"""Figures as people read them: sizes, times, shares, watts, and text that fits its column."""

from __future__ import annotations

from datetime import datetime

_ELLIPSIS = "…"


def size(mib: float) -> str:
    """MiB as `512 MiB`, `8.9 GiB` or `1.2 TiB`."""
    if abs(mib) < 1000:
        return f"{mib:.0f} MiB"
    gib = mib / 1024
    if abs(gib) < 1000:
        return f"{gib:.1f} GiB" if abs(gib) < 100 else f"{gib:.0f} GiB"
    return f"{gib / 1024:.1f} TiB"


def duration(seconds: float) -> str:
    """Seconds as `4.2 s`, `2 min 5 s`, `3 h 20 min` or `2 d 4 h`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 9.95 and seconds % 1 else f"{seconds:.0f} s"
    whole = round(seconds)
    for unit_s, unit, part_s, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def percent(ratio: float) -> str:
    """A ratio as `31 %`; one decimal under 10 %."""
    value = ratio * 100
    return f"{value:.0f} %" if abs(value) >= 9.95 or value == 0 else f"{value:.1f} %"


def watts(value: float) -> str:
    """Watts as `98 W` or `2.71 kW`."""
    return f"{value:.0f} W" if abs(value) < 10000 else f"{value / 1000:.2f} kW"


def kwh(value: float) -> str:
    """KWh as `0.012 kWh`, `6.1 kWh`, `412 kWh` or `1.24 MWh`."""
    if abs(value) >= 1000:
        return f"{value / 1000:.2f} MWh"
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 0.995 or value == 0 else 3
    return f"{value:.{digits}f} kWh"


def cores(millicores: float) -> str:
    """Thousandths of a core as cores: `1.5`, `64`."""
    value = millicores / 1000
    return f"{value:.1f}" if value < 99.95 and round(value, 1) % 1 else f"{value:.0f}"


def figure(value: float) -> str:
    """A goal's value: whole numbers plain, others with three digits that count."""
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{value:.0f}"
    return f"{value:.3g}"


def moment(when: datetime) -> str:
    """A time as `2026-11-22 20:00:00 UTC`."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def count(number: int, one: str, many: str = "") -> str:
    """`1 move`, `3 moves`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def fit(text: str, width: int) -> str:
    """Text cut in its middle to fit a width, so that beginning and number at the end stay."""
    if len(text) <= width:
        return text
    if width <= 1:
        return text[: max(0, width)]
    head = (width - 1 + 1) // 2
    tail = width - 1 - head
    return text[:head] + _ELLIPSIS + (text[-tail:] if tail else "")


def plain(text: str) -> str:
    """Text from files or guests made safe for a terminal: what does not print is replaced."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "?" for char in text)
