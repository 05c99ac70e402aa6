"""The compiled local search: the array form as tables, a placement under change, and the searches over it."""
