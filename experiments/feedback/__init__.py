"""Outcomes from outside: what may be said, and importing it."""
