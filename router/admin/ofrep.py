"""`/ofrep/v1/evaluate/flags`: which variant a unit has, for apps in any language, by OpenFeature's remote protocol.

OFREP 0.1 (https://github.com/open-feature/protocol) has a description of its own, so these paths are not in ours. One
flag, or all of them with an ETag. What a flag and its forms are: `experiments.interop.evaluation`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from experiments.config.records import Config
from experiments.interop.evaluation import FLAG_NOT_FOUND, FORMS, INVALID_CONTEXT, FlagError, Flags, form_of
from experiments.interop.flag_source import FlagSource
from experiments.store import Store
from router.admin.auth import JsonOnly
from router.admin.orders import read_order

PATH = "/ofrep/v1/evaluate/flags"
_PARSE_ERROR = "PARSE_ERROR"


class _Question(msgspec.Struct):
    """The body of a request; whatever else an app knows of its user is passed over."""

    context: dict[str, Any] = {}


class Ofrep:
    """The endpoints.

    Args:
        config: Which experiments there are.
        store: Where their routes are; while it is away, the last good ones hold.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._source = FlagSource(config.experiments, store.routes)

    async def one(self, request: Request) -> Response:
        """Answer for one flag."""
        key = request.path_params["key"]
        try:
            unit_id = await _unit(request)
            flags = await run_in_threadpool(self._source.current)
            return _json(_answer(flags, key, unit_id))
        except FlagError as error:
            return _json(_failure(key, error), 404 if error.code == FLAG_NOT_FOUND else 400)

    async def all(self, request: Request) -> Response:
        """Answer for every flag in every form; 304 if nothing has changed for this unit."""
        try:
            unit_id = await _unit(request)
            flags = await run_in_threadpool(self._source.current)
            answers = [_answer(flags, key, unit_id) for key in _keys(flags)]
        except FlagError as error:
            return _json({"errorCode": error.code, "errorDetails": str(error)}, 400)
        body = msgspec.json.encode({"flags": answers})
        tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
        known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
        if tag in known or known == ["*"]:
            return Response(status_code=304, headers={"etag": tag})
        return Response(body, media_type="application/json", headers={"etag": tag})


def ofrep_routes(config: Config, store: Store) -> list[Route]:
    """Return the routes of the protocol."""
    ofrep = Ofrep(config, store)
    middleware = [Middleware(JsonOnly)]
    return [
        Route(PATH, ofrep.all, methods=["POST"], middleware=middleware),
        # A name may have dots in it, and a form follows a colon.
        Route(f"{PATH}/{{key}}", ofrep.one, methods=["POST"], middleware=middleware),
    ]


async def _unit(request: Request) -> str | None:
    """Return the targeting key; None if there is none.

    Raises:
        FlagError: The body is no JSON, or no such record.
        HTTPException: 413: it is too large.
    """
    try:
        question = await read_order(request, _Question)
    except HTTPException as error:
        if error.status_code == 413:
            raise
        raise FlagError(_PARSE_ERROR if error.status_code == 400 else INVALID_CONTEXT, error.detail) from error
    found = question.context.get("targetingKey")
    if found is not None and not isinstance(found, str):
        raise FlagError(INVALID_CONTEXT, "context.targetingKey must be a text")
    return found


def _keys(flags: Flags) -> list[str]:
    return [name if form == FORMS[0] else f"{name}:{form}" for name in flags.names for form in FORMS]


def _answer(flags: Flags, key: str, unit_id: str | None) -> dict[str, Any]:
    name, form = form_of(key)
    found = flags.evaluate(name, unit_id)
    return {
        "key": key,
        "value": found.value(form),
        "variant": found.variant,
        "reason": found.reason,
        "metadata": found.metadata(),
    }


def _failure(key: str, error: FlagError) -> dict[str, str]:
    return {"key": key, "errorCode": error.code, "errorDetails": str(error)}


def _json(data: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(data), status, media_type="application/json")
