"""Tests of the physics of migrations."""
