"""Fixtures that tests of every package may ask for."""

pytest_plugins = ["tests.lab.fixtures"]
