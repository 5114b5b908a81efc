"""How long exchanges stay: partitions by day on PostgreSQL, batches of deletes on SQLite, what is known after."""
