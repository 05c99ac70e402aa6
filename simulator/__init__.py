"""A pretend cluster behind the collector and executor protocols, on a clock it is given, with physics of its own."""
