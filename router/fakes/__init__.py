"""Fake backends for tests, benchmarks and readers: real servers with scripted behaviour. Answers are simulated."""
