"""A lab of real libvirt hosts on one machine, for tests and demonstrations: see `Lab`."""

from tests.lab.guests import LabGuest, Memory
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab
from tests.lab.needs import lab_missing
from tests.lab.processes import LabError

__all__ = ["Lab", "LabError", "LabGuest", "LabHost", "Memory", "lab_missing"]
