"""Tests of exchanges by column generation."""
