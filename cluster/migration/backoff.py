"""How long a guest that did not converge is left out of plans: 20 s, doubling, then a day. Pure.

What is known of a guest is one short text, kept as a flag of the store: how often in a row, and until when.
"""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_S = 20.0
MOST_SHORT = 5
"""How often the time out doubles; once more, and it is a day."""
LONG_S = 86400.0

PREFIX = "backoff:"


def flag_of(guest: str) -> str:
    """Return the name of the guest's flag."""
    return f"{PREFIX}{guest}"


def after_failure(known: str | None, now: datetime) -> str:
    """Return the guest's new text after one more migration that did not converge."""
    times, until = _read(known)
    # A guest that was let alone for a day has a fresh start.
    times = 1 if until is None or now - until > timedelta(seconds=LONG_S) else times + 1
    rest_s = FIRST_S * 2 ** (times - 1) if times <= MOST_SHORT else LONG_S
    return f"{times} {(now + timedelta(seconds=rest_s)).isoformat()}"


def why_left_out(known: str | None, now: datetime) -> str | None:
    """Say why the guest is not to be moved now, or `None` when it may be tried."""
    times, until = _read(known)
    if until is None or now >= until:
        return None
    often = "once" if times == 1 else f"{times} times in a row"
    return f"its migration did not converge ({often}); it is left out of plans until {until:%Y-%m-%d %H:%M:%S} UTC"


def _read(known: str | None) -> tuple[int, datetime | None]:
    times, _, until = (known or "").partition(" ")
    try:
        return int(times), datetime.fromisoformat(until)
    except ValueError:
        return 0, None
