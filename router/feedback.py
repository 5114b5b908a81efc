"""`POST /_touchstone/v1/feedback`: an outcome from outside, journaled before it is acknowledged.

Who may send it: everyone, or with a token in the configuration those who show it. How much: so many a minute of one
exchange or unit, so that no single sender decides an experiment.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from experiments.assignment import unit_of
from experiments.config.records import Config, Experiment
from experiments.model import Feedback
from router.errors import problem
from router.front.rate_limit import RateLimit
from router.journal import Journal
from router.processes.secrets import resolve
from router.routes import BoundRoute
from router.timing import uuid7_seconds

_log = structlog.get_logger(__name__)
_MAX_BYTES = 64 * 1024
_YOUNG_SECONDS = 60.0
Lookup = Callable[[str], str | None]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    metric: str
    value: bool | float | str
    exchange: str = ""
    unit: str = ""
    experiment: str = ""
    source: str = "client"
    at: float | None = None


class _RefusedError(Exception):
    def __init__(self, status: int, detail: str, field: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.response = problem(status, detail, [{"loc": field, "msg": detail}] if field else ())
        self.response.headers.update(headers or {})


class FeedbackEndpoint:
    """The endpoint.

    Args:
        config: Which metrics take feedback, from whom, and how much.
        journal: Where it goes.
        lookup: Exchange id -> experiment, from the store; may raise when the store is away.
        member: Name of an experiment or group, and a unit -> the experiment that the unit belongs to, as it is routed
            now; None if there is none of that name.

    Raises:
        SecretError: The configured token cannot be had.
    """

    def __init__(
        self, config: Config, journal: Journal, lookup: Lookup, member: Callable[[str, str], BoundRoute | None]
    ) -> None:
        self._experiments = config.experiments
        self._journal = journal
        self._lookup = lookup
        self._member = member
        settings = config.router.feedback
        self._token = resolve(settings.token, config.path.parent) if settings.token is not None else None
        self._limit = RateLimit(settings.per_minute)

    async def __call__(self, request: Request) -> Response:
        """Take one feedback."""
        try:
            self._check_token(request)
            body = await _read(request)
            self._check_rate(body)
            experiment, known = await self._experiment_of(body)
            if experiment is not None:
                _check_metric(experiment, body)
        except _RefusedError as refused:
            return refused.response
        if not self._journal.append(self._record(body)):
            return problem(503, "feedback cannot be recorded right now; try again later")
        return Response(b'{"accepted":true}', 200 if known else 202, media_type="application/json")

    def _check_token(self, request: Request) -> None:
        if self._token is None:
            return
        shown = request.headers.getlist("authorization")
        scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        wanted = self._token.get_secret_value().encode()
        # Both are compared in any case, in a time that tells nothing of how near a wrong token is.
        if not hmac.compare_digest(token.strip().encode(), wanted) or scheme.lower() != "bearer":
            challenge = {"www-authenticate": 'Bearer realm="touchstone feedback"'}
            raise _RefusedError(401, "feedback needs the bearer token of router.feedback.token", headers=challenge)

    def _check_rate(self, body: _Body) -> None:
        # The length tells where the experiment's name ends: no two senders share a key.
        key = f"unit {len(body.experiment)} {body.experiment} {body.unit}" if body.unit else f"exchange {body.exchange}"
        wait_s = self._limit.wait_s(key, time.monotonic())
        if wait_s:
            what = "unit" if body.unit else "exchange"
            detail = f"too much feedback of one {what}; again in {wait_s} s"
            raise _RefusedError(429, detail, headers={"retry-after": str(wait_s)})

    async def _experiment_of(self, body: _Body) -> tuple[Experiment | None, bool]:
        """Return the experiment, and whether it is known for sure.

        A young exchange may not have reached the store yet, and the store may be away: then the feedback is taken
        (202), and the recorder drops it if its exchange never turns up.
        """
        if body.unit:
            bound = self._member(body.experiment, body.unit)
            if bound is None:
                raise _RefusedError(404, f"no experiment is named {body.experiment!r}", "experiment")
            return bound.experiment, True
        born = uuid7_seconds(body.exchange)
        if born is None:
            raise _RefusedError(404, f"no exchange has the id {body.exchange!r}", "exchange")
        try:
            name = await asyncio.to_thread(self._lookup, body.exchange)
        except Exception as error:  # noqa: BLE001  # the store may be away in any way
            _log.warning("feedback_lookup_failed", error=type(error).__name__)
            return None, False
        if name is None:
            if abs(time.time() - born) < _YOUNG_SECONDS:
                return None, False
            raise _RefusedError(404, f"no exchange has the id {body.exchange!r}", "exchange")
        return self._experiments.get(name), True

    def _record(self, body: _Body) -> Feedback:
        bound = self._member(body.experiment, body.unit) if body.unit else None
        # The salt of the route, not of the configuration: a retry draws its users anew.
        unit = unit_of(bound.route.salt, body.unit.encode()).key if bound is not None else ""
        return Feedback(
            exchange=body.exchange,
            unit=unit,
            experiment=bound.experiment.name if bound is not None else body.experiment,
            metric=body.metric,
            value=body.value,
            source=body.source,
            at=time.time() if body.at is None else body.at,
        )


async def _read(request: Request) -> _Body:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MAX_BYTES:
            raise _RefusedError(413, f"feedback is larger than {_MAX_BYTES} bytes")
    try:
        body = msgspec.json.decode(data, type=_Body)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        raise _RefusedError(422, message, where.strip("`$.") or "body") from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _RefusedError(400, f"the body is not JSON: {error}") from error
    if bool(body.exchange) == bool(body.unit):
        raise _RefusedError(422, "exactly one of `exchange` and `unit` must be given", "exchange")
    return body


def _check_metric(experiment: Experiment, body: _Body) -> None:
    metrics: list[Any] = [*experiment.guardrails, *experiment.monitors]
    names = sorted(metric.name for metric in metrics if metric.feedback)
    if body.metric not in names:
        known = ", ".join(names) or "none"
        raise _RefusedError(
            422, f"{body.metric!r} takes no feedback in {experiment.name}; metrics that do: {known}", "metric"
        )
    if isinstance(body.value, str):
        raise _RefusedError(422, "the value must be a number, true or false", "value")
