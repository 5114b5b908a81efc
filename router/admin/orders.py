"""What somebody asks to be done: a small JSON body, read with a limit and checked as a whole."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

_MAX_BYTES = 16 * 1024
# Control characters have no place in a reason, and PostgreSQL stores no NUL.
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^(?![\s\S]*[\x00-\x1f\x7f])")]
"""One line of text."""
Order = TypeVar("Order")


async def read_order(request: Request, kind: type[Order]) -> Order:
    """Return a request's body as a record.

    Raises:
        HTTPException: It is too large (413), no JSON (400), or not such a record (422).
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MAX_BYTES:
            raise HTTPException(413, f"the body is larger than {_MAX_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise HTTPException(422, str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error
