"""Scorers that ask another server, at the edge: in the controller's process, beside its loop and never in its way."""
