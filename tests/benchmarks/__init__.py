"""Tests of the readers, evaluators and comparisons of the benchmarks, over instances made here."""
