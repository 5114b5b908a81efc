"""What the proxies write, and how it gets into the store."""
