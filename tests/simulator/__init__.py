"""Laws of the pretend cluster."""
