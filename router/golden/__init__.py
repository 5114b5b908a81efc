"""Golden sets at the edge: sending them, the command, and whether backends are there."""
