"""Vector bin packing: the classes of Panigrahy et al. and the New ones, and the best of the published heuristics."""
