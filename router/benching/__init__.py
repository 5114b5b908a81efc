"""Benchmarking a pair at the edge: asking both servers, their memory, and what `touchstone bench-pair` shows."""
