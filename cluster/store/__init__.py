"""The store: one protocol, an in-memory reference, Redis, and a private Redis for one machine."""
