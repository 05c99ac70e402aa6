"""Fixtures that tests of every package may ask for, and how property tests run."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.lab.fixtures"]

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("trimtab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trimtab")
