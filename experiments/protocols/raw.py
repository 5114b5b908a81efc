"""Any HTTP: a body is a text, and nothing is known of it."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from experiments.protocols.base import Answered, Peek, Traits


class Raw:
    """The protocol of a backend that speaks none of the known ones."""

    def peek(self, body: bytes) -> Peek:  # noqa: ARG002
        """Nothing is known."""
        return Peek()

    def traits(self, body: bytes) -> Traits:  # noqa: ARG002
        """Nothing is known."""
        return Traits()

    def prompt(self, request_text: str) -> str | None:
        """The whole body is the prompt."""
        return request_text or None

    def answer(self, response_text: str) -> Answered:
        """The whole body is the answer."""
        return Answered(text=response_text or None)

    def error(self, status: int, message: str, kind: str, code: str | None = None) -> tuple[bytes, bytes]:  # noqa: ARG002
        """RFC 9457 problem details."""
        problem = {"type": "about:blank", "title": _title(status), "status": status, "detail": message}
        return msgspec.json.encode(problem), b"application/problem+json"


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"  # no registered status, as some proxies and balancers use
