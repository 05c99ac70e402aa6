"""Tests of the packing reader and evaluator."""
