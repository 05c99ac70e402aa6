"""Reality to reports: libvirt, the host's own figures, recorded traces; the agent on each host."""
