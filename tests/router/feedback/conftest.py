"""The fixtures of this folder."""

from tests_feedback import _endpoint

__all__ = ["_endpoint"]
