"""Lower bounds that need no search: relaxations worked out in closed form, valid for the exact integer values."""
