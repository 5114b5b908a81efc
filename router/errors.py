"""Errors on the wire: RFC 9457 problem details on our own API, the protocol's own shape on model paths.

Model paths are parsed by clients that know nothing of us, so there the error looks as the model server's would.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from experiments.model import ErrorKind

EXCHANGE_HEADER = b"x-touchstone-exchange"


class UpstreamError(Exception):
    """A backend did not give a whole answer. Raised by `router.upstream` only, where foreign errors become ours."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class BodyTooLargeError(Exception):
    """A request body is larger than `max_body_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the request body is larger than {limit_bytes} bytes")


class ClientGoneError(Exception):
    """The client left before its request was complete."""


class OverloadedError(Exception):
    """A limit of this process is reached; the message says which. Trying again later helps."""


GATEWAY_STATUS = {
    ErrorKind.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.DRAINED: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Status with which a backend's failure is answered; 502 for all others."""


def problem(status: int, detail: str, errors: Sequence[dict[str, Any]] = ()) -> Response:
    """Return RFC 9457 problem details."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    return Response(msgspec.json.encode(body), status, media_type="application/problem+json")
