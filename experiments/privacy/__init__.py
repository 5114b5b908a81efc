"""What is kept of texts, how long, and how it goes."""
