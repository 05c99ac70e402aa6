"""Tests of the PlanetLab benchmark."""
