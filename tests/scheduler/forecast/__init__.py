"""Tests of scheduler/forecast."""
