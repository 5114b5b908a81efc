"""The fixtures of this folder."""

from tests_plane import _plane

__all__ = ["_plane"]
