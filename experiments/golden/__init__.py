"""Golden sets: requests with the answers that one expects; their runs and verdicts; the gate before the first user."""
