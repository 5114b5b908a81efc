"""Notifications on their way to people: channels, the couriers that serve them, and our own webhook."""
