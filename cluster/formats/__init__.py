"""File formats: strict readers and writers of cluster, plan, report and rules."""
