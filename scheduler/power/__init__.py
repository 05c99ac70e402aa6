"""Power steps beside the loop: wiring of drivers, plans by hand, wake tests and what they prove."""
