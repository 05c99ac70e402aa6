"""Guests that a cluster manager on this machine runs, as its own state files show. For a collector on the host itself.

Pacemaker's VirtualDomain agent leaves no mark in a domain; it keeps the domain's name in a state file while the
resource runs.
"""

from __future__ import annotations

from pathlib import Path

PACEMAKER_STATE = (Path("/run/resource-agents"), Path("/run/heartbeat/rsctmp"))
_LONGEST_NAME = 1024


def cluster_owned(directories: tuple[Path, ...] = PACEMAKER_STATE) -> dict[str, str]:
    """Return owner by guest name. Files that cannot be read say nothing."""
    owned = {}
    for directory in directories:
        try:
            files = sorted(directory.glob("VirtualDomain-*.state"))
            names = [file.read_text(encoding="utf-8", errors="replace")[:_LONGEST_NAME].strip() for file in files]
        except OSError:
            continue
        owned.update({name: "Pacemaker" for name in names if name})
    return owned
