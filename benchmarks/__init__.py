"""Timings, as ratios against a peer measured in the same run. Not part of the test suite: machines are noisy."""
