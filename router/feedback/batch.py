"""Many feedbacks in one body: a JSON array, or one JSON object a line (NDJSON)."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from router.feedback.items import Item, RefusedError, not_json, read_item

MAX_ITEMS = 1_000
MAX_BYTES = 2**20
_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
_read_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_batch(data: bytes | bytearray, content_type: str) -> list[Item | RefusedError]:
    """Read a batch; an item that cannot be read is in its place as a refusal.

    Args:
        data: The body.
        content_type: As the request says it; anything that is not NDJSON is read as a JSON array.

    Raises:
        RefusedError: The whole is no array (400, 422), or has too many items (413).
    """
    media_type = content_type.partition(";")[0].strip().lower()
    pieces = [line for line in data.split(b"\n") if line.strip()] if media_type in _LINES else _pieces(data)
    if len(pieces) > MAX_ITEMS:
        raise RefusedError(413, f"a batch has at most {MAX_ITEMS} items")
    return [_item(piece) for piece in pieces]


def answer_batch(refused: dict[int, RefusedError], count: int) -> Response:
    """Return 200 if all items were taken, else 207 with what was not, and why.

    Args:
        refused: Index -> why.
        count: How many items there were.
    """
    told = [refused[index].of_item(index) for index in sorted(refused)]
    body = msgspec.json.encode({"accepted": count - len(refused), "refused": told})
    return Response(body, 207 if refused else 200, media_type="application/json")


def _pieces(data: bytes | bytearray) -> list[msgspec.Raw]:
    try:
        return _read_array(data)
    except msgspec.ValidationError as error:
        raise RefusedError(422, f"a batch is a JSON array, or NDJSON by its content type: {error}", "body") from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise not_json(error) from error


def _item(piece: bytes | bytearray | msgspec.Raw) -> Item | RefusedError:
    try:
        return read_item(piece)
    except RefusedError as refused:
        return refused
