"""The configuration: its settings with their defaults, and the loader of the TOML file."""
