"""One feedback as it is sent, and how it is refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from router.errors import problem


class Item(msgspec.Struct, forbid_unknown_fields=True):
    """One feedback."""

    metric: str
    value: bool | float | str
    exchange: str = ""
    unit: str = ""
    """The user's own id, in place of the exchange: its latest one is meant."""
    experiment: str = ""
    """Of the unit."""
    source: str = "client"
    at: float | None = None
    """When it was given, in seconds since the epoch (UTC); now unless given."""
    token: str = ""
    """The header `x-touchstone-feedback-token` of the answer."""


class RefusedError(Exception):
    """A feedback, or a whole request, is not taken.

    Args:
        status: HTTP status.
        detail: Why, in a sentence.
        field: Which field is wrong; empty if none is.
        headers: Of the response.
    """

    def __init__(self, status: int, detail: str, field: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return it as problem details."""
        response = problem(self.status, self.detail, [self._error()] if self.field else ())
        response.headers.update(self.headers)
        return response

    def of_item(self, index: int) -> dict[str, object]:
        """Return it as one refusal of a batch.

        Args:
            index: Of the item, from 0.
        """
        told: dict[str, object] = {"index": index, "status": self.status, "detail": self.detail}
        if self.field:
            told["errors"] = [self._error()]
        if "retry-after" in self.headers:
            told["retry_after_s"] = int(self.headers["retry-after"])
        return told

    def _error(self) -> dict[str, str]:
        return {"loc": self.field, "msg": self.detail}


def read_item(data: bytes | bytearray | memoryview) -> Item:
    """Read one feedback.

    Raises:
        RefusedError: It is not JSON (400), or not a feedback (422).
    """
    try:
        item = msgspec.json.decode(data, type=Item)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        raise RefusedError(422, message, where.strip("`$.") or "body") from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise not_json(error) from error
    if bool(item.exchange) == bool(item.unit):
        raise RefusedError(422, "exactly one of `exchange` and `unit` must be given", "exchange")
    return item


def not_json(error: Exception) -> RefusedError:
    """Return the refusal of what cannot be read as JSON."""
    return RefusedError(400, f"the body is not JSON: {error}")
