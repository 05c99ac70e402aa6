"""Tests of every package, in the packages' own layout, and the lab of real hosts."""
