"""A problem to a checked, ordered plan; the gate, the cycle, the daemon and the command line."""
