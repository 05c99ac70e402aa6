"""Emptying hosts with little memory moved: which to close, where their guests go, and exchanges of both."""

from scheduler.solver.evacuate.run import applies, empty_cheaply

__all__ = ["applies", "empty_cheaply"]
