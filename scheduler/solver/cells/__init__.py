"""Large instances in parts: split into cells of hosts, solved as tasks on an engine, put together again."""
