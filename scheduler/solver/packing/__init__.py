"""Fewest hosts: placements that leave as many hosts as can be empty, and how few there can be."""

from scheduler.solver.packing.pack import applies, pack

__all__ = ["applies", "pack"]
