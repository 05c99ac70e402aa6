"""Tests of the NUMA cluster reader and evaluator."""
