"""Search for problems with tight capacity: annealing through placements that are over it, at a price."""
