"""Tests of scheduler/solver."""
