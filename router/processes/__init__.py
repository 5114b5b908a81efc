"""Processes: proxies and a controller under a supervisor, and the files that they start from."""
