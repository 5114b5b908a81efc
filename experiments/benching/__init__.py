"""Benchmarking a pair: figures of speed and accuracy from what two backends answered to the same items. Pure."""
