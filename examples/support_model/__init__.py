"""The demo: a small language model that answers support queries, and its quantized copies."""
