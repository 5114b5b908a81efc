"""Pairs -> outcomes: scorers at work, in line, anew, and day by day."""
