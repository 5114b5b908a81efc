"""`/api/v1/incidents` and `/api/v1/audit`: what waits for a person, taking it on, and who did what."""

from __future__ import annotations

import time
from typing import Literal

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from experiments.config.records import Config
from experiments.store import Store
from experiments.telling.audit_trail import UnknownExperimentError, audit_of, written
from experiments.telling.incidents import UnknownIncidentError, acknowledge, open_now
from router.admin.orders import Line, read_order

_log = structlog.get_logger(__name__)
JSON_LINES, CSV = "application/jsonl", "text/csv"


class AcknowledgementOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody says who takes an incident on."""

    reason: Line


class Incidents:
    """The endpoints.

    Args:
        config: How often people are told.
        store: Keeps what happened.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store

    async def all(self, _: Request) -> Response:
        """List the critical incidents that nobody has acknowledged."""
        found = await run_in_threadpool(open_now, self._store, self._config, time.time())
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def acknowledge(self, request: Request) -> Response:
        """Take one on, in the name of who asks."""
        key, actor = request.path_params["key"], request.scope["actor"]
        order = await read_order(request, AcknowledgementOrder)

        def carry_out() -> bytes:
            done = acknowledge(self._store, key, actor=actor, reason=order.reason, now=time.time())
            return msgspec.json.encode(done)

        try:
            body = await run_in_threadpool(carry_out)
        except UnknownIncidentError as error:
            raise HTTPException(404, str(error)) from error
        _log.info("acknowledged", key=key, actor=actor)
        return Response(body, media_type="application/json")

    async def audit(self, request: Request) -> Response:
        """Write out the audit of one experiment or of all; CSV if `Accept` asks for it, else JSON lines."""
        kind: Literal["json", "csv"] = "csv" if CSV in request.headers.get("accept", "").lower() else "json"
        experiment = request.query_params.get("experiment")

        def read() -> str:
            return "".join(written(audit_of(self._store, experiment), kind))

        try:
            text = await run_in_threadpool(read)
        except UnknownExperimentError as error:
            raise HTTPException(404, str(error)) from error
        return Response(text, headers={"content-type": f"{CSV if kind == 'csv' else JSON_LINES}; charset=utf-8"})
