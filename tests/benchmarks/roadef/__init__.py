"""Tests of the reassignment reader and evaluator."""
