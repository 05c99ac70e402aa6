"""Thirty days of weekly load on forty hosts: what the night mode saves, and whether anybody ever paid for it."""
