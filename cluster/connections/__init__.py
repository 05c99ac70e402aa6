"""Clients of the world outside, each with a deadline: libvirt, BMCs. One of the two rooms of `cluster` that do I/O."""
