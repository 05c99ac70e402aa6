"""Scenario folders: the real loop on a pretend cluster, each with its reason and the log that has to come out."""
