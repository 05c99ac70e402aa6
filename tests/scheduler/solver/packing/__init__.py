"""Packing: fewest hosts."""
