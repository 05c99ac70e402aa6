"""A `Problem` to a `Proposal`: array form, local search, CP-SAT in tiers, and a proven bound. Knows no policy.

numpy and ortools are imported by the modules that need them, so import `scheduler.solver.solve` only when solving.
"""
