"""`POST /api/v1/experiments/NAME/COMMAND`: what an operator does to an experiment, with a reason."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from experiments.config.records import Config
from experiments.operating import Command, CommandRefusedError, operate
from experiments.store import Store
from router.admin.orders import Line, read_order

_log = structlog.get_logger(__name__)


class CommandOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Why something is done to an experiment."""

    reason: Line


class Commands:
    """The endpoint.

    Args:
        config: Which experiments there are.
        store: Where their routes are; the proxies read them there.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._experiments = config.experiments
        self._store = store

    def named(self, command: Command) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of one command."""

        async def endpoint(request: Request) -> Response:
            return await self._carry_out(request, command)

        return endpoint

    async def _carry_out(self, request: Request, command: Command) -> Response:
        """Answer with the transition that the command made."""
        experiment = self._experiments.get(request.path_params["name"])
        if experiment is None:
            raise HTTPException(404, f"no experiment is named {request.path_params['name']!r}")
        order = await read_order(request, CommandOrder)
        actor = request.scope["actor"]

        def carry_out() -> bytes:
            done = operate(self._store, experiment, command, actor=actor, reason=order.reason, now=time.time())
            return msgspec.json.encode(done)

        try:
            body = await run_in_threadpool(carry_out)
        except CommandRefusedError as error:
            raise HTTPException(409, str(error)) from error
        _log.warning("commanded", experiment=experiment.name, command=command.value, actor=actor)
        return Response(body, media_type="application/json")
