"""Consolidation in closed loop on PlanetLab days, beside what CloudSim's users publish."""
