"""The physics of a migration, as pure functions: who can go where, and what a move costs."""
