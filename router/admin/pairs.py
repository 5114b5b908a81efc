"""`GET /api/v1/experiments/NAME/pairs`: both answers of pairs, with their scores, a page at a time."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from experiments.config.records import Config
from experiments.pairs.reader import MOST_A_PAGE, PairQuery, PairQueryError, PairReader
from experiments.store import Store

QUERY = {
    "metric": "Order by its value; the newest pairs come first unless given.",
    "slice": "Only of a slice: `attribute=value`.",
    "worst": "So many, the lowest value first; 20 unless given, at most 500.",
    "best": "So many, the highest value first, in place of `worst`.",
    "disagreeing": "`true`: only pairs in which one side did better.",
    "failed": "`true`: only pairs that the metric's scorer failed on; without a metric, of which a side failed.",
    "epoch": "The newest unless given.",
    "cursor": "`next_cursor` of the page before.",
}
"""What may be asked, for the API's description."""
SCHEMAS: dict[str, dict[str, Any]] = {
    **{name: {"type": "integer", "minimum": 1, "maximum": MOST_A_PAGE} for name in ("worst", "best")},
    "epoch": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    **{name: {"type": "string", "enum": ["true", "false"]} for name in ("disagreeing", "failed")},
}
"""Of those that are not just texts."""
_NUMBERS = ("worst", "best", "epoch")
_SWITCHES = {"true": True, "false": False}


class Pairs:
    """The endpoint.

    Args:
        config: Which experiments there are.
        store: Where their pairs are.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._experiments = config.experiments
        self._reader = PairReader(store.engine)

    async def page(self, request: Request) -> Response:
        """Answer with a page; what cannot be asked is 422."""
        name = request.path_params["name"]
        if name not in self._experiments:
            raise HTTPException(404, f"no experiment is named {name!r}")
        query = asked(name, request.query_params)
        try:
            found = await run_in_threadpool(self._reader.page, query)
        except PairQueryError as error:
            raise HTTPException(422, str(error)) from error
        # What users wrote must not stay in a cache on the way.
        return Response(
            msgspec.json.encode(found), media_type="application/json", headers={"cache-control": "no-store"}
        )


def asked(experiment: str, parameters: QueryParams) -> PairQuery:
    """Return what the parameters of a request ask for.

    Raises:
        starlette.exceptions.HTTPException: 422: one is unknown, or has no value that means anything.
    """
    if unknown := sorted(set(parameters) - set(QUERY)):
        raise HTTPException(422, f"unknown: {', '.join(unknown)}; known are {', '.join(QUERY)}")
    read: dict[str, Any] = {name: parameters[name] for name in ("metric", "slice", "cursor") if name in parameters}
    numbers = {name: _number(name, parameters[name]) for name in _NUMBERS if name in parameters}
    if "worst" in numbers and "best" in numbers:
        raise HTTPException(422, "worst and best exclude each other")
    for order in ("worst", "best"):
        if order in numbers:
            read |= {"order": order, "limit": numbers[order]}
    if "epoch" in numbers:
        read["epoch"] = numbers["epoch"]
    for name in ("disagreeing", "failed"):
        if name in parameters:
            read[name] = _switch(name, parameters[name])
    return PairQuery(experiment, **read)


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise HTTPException(422, f"{name} is {text[:40]!r}, must be a number")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text not in _SWITCHES:
        raise HTTPException(422, f"{name} is {text[:40]!r}, must be true or false")
    return _SWITCHES[text]
