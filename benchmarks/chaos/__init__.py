"""Chaos: the real loop on pretend clusters while everything around it goes wrong, watched by a witness of the world."""
