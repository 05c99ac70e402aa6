"""Tests of the shared data, formats and configuration."""
