"""Tests of executors.power."""
