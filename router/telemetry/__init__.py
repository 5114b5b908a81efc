"""What a process says of itself: figures, traces, logs."""
