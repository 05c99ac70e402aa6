"""A real cluster of ByteDance (VMR2L, EuroSys 2025): free slots of 16 cores, won with few migrations."""
