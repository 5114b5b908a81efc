"""The admin API on its own port: reads the store, never the traffic."""
