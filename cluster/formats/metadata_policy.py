"""How a guest may be moved, as the attributes of `<trimtab:migration>` in its domain's metadata say. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.guest import Compression, LocalDisks, MigrationPolicy

MOST_CONNECTIONS = 64

_YES = frozenset({"yes", "true", "on", "1"})
_NO = frozenset({"no", "false", "off", "0"})
_DEFAULT = MigrationPolicy()


def read_policy(attributes: Mapping[str, str], problems: list[str]) -> MigrationPolicy:
    """Read a guest's migration policy. What cannot be understood stays at its default and is said in `problems`."""
    compression = attributes.get("compression")
    if compression is not None and compression not in list(Compression):
        problems.append(f"compression is {compression!r}; allowed: {', '.join(Compression)}")
        compression = None
    local_disks = attributes.get("local_disks")
    if local_disks is not None and local_disks not in list(LocalDisks):
        problems.append(f"local_disks is {local_disks!r}; allowed: {', '.join(LocalDisks)}")
        local_disks = None
    return MigrationPolicy(
        max_downtime_ms=_whole(attributes, "max_downtime_ms", problems) or _DEFAULT.max_downtime_ms,
        allow_postcopy=_yes(attributes, "allow_postcopy", problems) or False,
        latency_sensitive=_yes(attributes, "latency_sensitive", problems) or False,
        must_encrypt=_yes(attributes, "must_encrypt", problems) or False,
        auto_converge=_yes(attributes, "auto_converge", problems),
        compression=None if compression is None else Compression(compression),
        parallel_connections=_whole(attributes, "parallel_connections", problems, MOST_CONNECTIONS),
        local_disks=None if local_disks is None else LocalDisks(local_disks),
    )


def _whole(attributes: Mapping[str, str], name: str, problems: list[str], most: int | None = None) -> int | None:
    text = attributes.get(name)
    if text is None:
        return None
    try:
        value = int(text.strip())
    except ValueError:
        problems.append(f"{name} is {text.strip()!r}; allowed: a whole number")
        return None
    if value < 1 or (most is not None and value > most):
        allowed = "1 or more" if most is None else f"1 to {most}"
        problems.append(f"{name} is {value}; allowed: {allowed}")
        return None
    return value


def _yes(attributes: Mapping[str, str], name: str, problems: list[str]) -> bool | None:
    text = attributes.get(name)
    if text is None:
        return None
    if text.strip().lower() in _YES | _NO:
        return text.strip().lower() in _YES
    problems.append(f"{name} is {text!r}; allowed: yes, no")
    return None
