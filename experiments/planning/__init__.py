"""What to expect of an experiment before it starts."""
