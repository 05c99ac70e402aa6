"""Exchange of guests among hosts by column generation, for clusters of few guest shapes and few host states."""
