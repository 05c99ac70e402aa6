"""Power of hosts: one module per way to put a host to sleep and wake it, behind one protocol."""
