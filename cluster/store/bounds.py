"""How much a store keeps: bounds that every back end shares."""

from __future__ import annotations

JOURNAL_KEPT = 100_000
"""Journal entries; older ones fall out."""

PLANS_KEPT = 1_000
"""Plans with their steps, by when they were opened; older ones fall out."""

MOVES_KEPT = 4_000
"""Finished migrations whose figures are held for learning: some days of a large cluster, under a MiB."""

ENERGY_DAYS_KEPT = 400
"""Days whose energy is held: a year to compare with the last."""

COMMAND_SEEN_S = 86_400.0
"""How long the id of a command is remembered, so that one pushed again by a nervous client is carried out once."""
