"""Watts: what hosts draw, the curves fitted to it, and what their sleeping saves."""
