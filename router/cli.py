"""The `touchstone` command: where it begins. What it can do is in `router.commandline`."""

from router.commandline.app import app, main

__all__ = ["app", "main"]
