"""The energy policy: which hosts should be awake when, from the forecast, what they draw and what must be kept."""
