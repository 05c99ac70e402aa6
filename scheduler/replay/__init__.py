"""The real loop over pretended or recorded time: for `simulate`, `backtest` and benchmarks."""
