"""From a request to a plan: read it, find the experiment, assign the unit. Plain ASGI.

    read the body -> find the experiment -> assign the unit -> mirror, or not -> `router.exchange` serves it

One rule shapes the code: the user's request always wins. Nothing here waits for a store, a scorer or a mirror.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from experiments.assignment import assign, unit_of
from experiments.config.records import HISTORY_SLICES, Config
from experiments.model import TREATMENT, Phase
from experiments.protocols import protocol
from router.cache import build_caches, cache_key
from router.errors import BodyTooLargeError, ClientGoneError, OverloadedError
from router.exchange import Earlier, InFlight, LiveExchange, Services
from router.front.answers import overloaded, refuse, too_large
from router.front.bodies import BodyReader
from router.headers import content_length, request_headers
from router.mirror_choice import is_mirrored, prepare
from router.plan import Plan, Request
from router.recording import Recording, Sink
from router.routes import BoundRoute, RouteWatcher, read_source
from router.shadow import ShadowPool
from router.telemetry.tracing import Tracer
from router.timing import uuid7
from router.upstream.retry_budget import RetryBudget
from router.upstream.upstream import Upstream

_random = random.Random()  # noqa: S311  # draws a sample, keeps no secret
_EXPOSED_BEFORE = HISTORY_SLICES[0]


class Proxy:
    """ASGI application of the model paths.

    Args:
        config: Limits and experiments.
        watcher: Holds the current route table.
        upstreams: Backend name -> upstream.
        record: Takes every exchange that has ended, with its span.
        shadows: Where mirrored requests go.
        budget: Limits second attempts.
        tracer: Chooses the exchanges that are traced.
    """

    def __init__(
        self,
        config: Config,
        watcher: RouteWatcher,
        upstreams: dict[str, Upstream],
        record: Sink,
        shadows: ShadowPool,
        budget: RetryBudget,
        tracer: Tracer | None = None,
    ) -> None:
        settings = config.router
        self._watcher = watcher
        self._upstreams = upstreams
        self._tracer = tracer
        self.bodies = BodyReader(settings)
        self.caches = build_caches(config)
        """Experiment -> its cache."""
        self._capture_bytes = settings.capture_bytes
        self._max_in_flight = settings.clients.max_in_flight
        self._default = upstreams.get(settings.default_backend or "")
        prepare(config.experiments.values())
        self.services = Services(record, shadows, budget)
        self.in_flight = 0
        """Requests being received or served."""
        self.refused: Counter[str] = Counter()
        """Requests refused because of a limit, by reason: in_flight, body_bytes, held_bytes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange_id = uuid7()
        if self.in_flight >= self._max_in_flight:
            self.refused["in_flight"] += 1
            await overloaded(send, exchange_id, scope["path"], "too many requests are being served; try again")
            return
        self.in_flight += 1
        try:
            await self._serve(scope, receive, send, exchange_id)
        except BodyTooLargeError as error:
            self.refused["body_bytes"] += 1
            await too_large(send, exchange_id, scope["path"], str(error))
        except OverloadedError as error:
            self.refused["held_bytes"] += 1
            await overloaded(send, exchange_id, scope["path"], str(error))
        except ClientGoneError:
            return
        finally:
            self.in_flight -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send, exchange_id: str) -> None:
        request = _read_head(scope)
        # An offer of HTTP/2 may be passed over, and some clients always make it; of WebSocket it may not.
        if b"websocket" in request.headers.get(b"upgrade", b"").lower():
            message = "WebSocket is not supported on this port"
            await refuse(send, exchange_id, request.path, 501, message, "upgrade_not_supported")
            return
        may_stream = not self._watcher.table.reads_body(request.path)
        announced = content_length(request.raw_headers)
        request.body = await self.bodies.read(receive, announced, may_stream=may_stream)
        plan = self.plan(request, exchange_id)
        if plan is None:
            await self._refuse_unmatched(send, exchange_id, request.path)
            return
        with self.bodies.holding(request.body):
            await LiveExchange(self.services, request, plan, send).run(receive)

    # --- the short way: see `router.direct` ---------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether one more request may be served."""
        return self.in_flight < self._max_in_flight

    def enter(self, exchange: InFlight, body_bytes: int) -> None:
        """Count an exchange that is served elsewhere, and the body that it holds."""
        self.in_flight += 1
        self.bodies.held_bytes += body_bytes
        self.services.in_flight.add(exchange)

    def leave(self, exchange: InFlight, body_bytes: int) -> None:
        """Count it no longer."""
        self.in_flight -= 1
        self.bodies.held_bytes -= body_bytes
        self.services.in_flight.discard(exchange)

    def going_on(self, request: Request, plan: Plan, recording: Recording, earlier: Earlier | None) -> ASGIApp:
        """Return the application that carries out what was planned, and maybe tried, elsewhere; it must be run.

        It counts from here on: requests that come at the same time must not all find the last place free.
        """
        self.in_flight += 1

        async def app(_: Scope, receive: Receive, send: Send) -> None:
            try:
                with self.bodies.holding(request.body):
                    await LiveExchange(self.services, request, plan, send, recording, earlier).run(receive)
            finally:
                self.in_flight -= 1

        return app

    # --- planning -----------------------------------------------------------------------------------------------------

    def plan(self, request: Request, exchange_id: str) -> Plan | None:
        """Say what is to be done with a request; None if no experiment is for it, and no default."""
        plan = self._plan(request, request.known_body, exchange_id)
        if self._tracer is not None and plan is not None:
            self._trace(plan, request, self._tracer)
        return plan

    def _trace(self, plan: Plan, request: Request, tracer: Tracer) -> None:
        plan.span = tracer.begin(request.headers)
        if plan.span is not None:
            plan.headers = plan.span.carried_in(plan.headers)

    def _plan(self, request: Request, body: bytes, exchange_id: str) -> Plan | None:
        fields: dict[str, Any] = {
            "id": exchange_id,
            "at": time.time(),
            "method": request.method,
            "path": request.path,
            "bytes_in": len(body),
        }
        found = self._watcher.table.find(request.path, request.headers, body, exchange_id)
        if found is not None:
            return self._plan_experiment(*found, request, body, fields)
        if self._default is None:
            return None
        fields |= {"experiment": "", "protocol": self._default.protocol}
        plan = Plan(self._default, protocol(self._default.protocol), fields, self._capture_bytes)
        plan.headers = request_headers(request.raw_headers, plain_text=False)
        return plan

    def _plan_experiment(
        self, bound: BoundRoute, unit_id: str, request: Request, body: bytes, fields: dict[str, Any]
    ) -> Plan:
        experiment, route = bound.experiment, bound.route
        unit = unit_of(route.salt, unit_id.encode())
        variant, propensity = assign(unit.bucket, route.split_basis_points)
        control, treatment = self._upstreams[experiment.control], self._upstreams[experiment.treatment]
        if route.phase is Phase.GATED:
            # An A/A run: all is done as in the experiment, and control answers everyone.
            treatment = control
        treated = variant == TREATMENT
        captured = self._capture_bytes
        fields |= {
            "experiment": experiment.name,
            "epoch": route.epoch,
            "stage": route.stage,
            "unit": unit.key,
            "bucket": unit.bucket,
            "propensity": propensity,
            "assigned": variant,
            "served": variant,
            "protocol": control.protocol,
            "slices": _slices(bound, unit_id, request, fields["id"]),
            "request_text": body[:captured].decode("utf-8", "replace"),
        }
        if len(body) > captured:
            fields["truncated"] = True
        first, other = (treatment, control) if treated else (control, treatment)
        plan = Plan(first, bound.protocol, fields, captured, expose_variant=experiment.expose_variant)
        if other is not first and (experiment.fallback == "both" or (treated and experiment.fallback == "to_control")):
            plan.fallback = other
        # An answer that is to be compared is recorded as text: ask for it uncompressed.
        plan.headers = request_headers(request.raw_headers, plain_text=True)
        self._look_for_cache(plan, bound, request)
        if is_mirrored(bound, request, fields):
            plan.mirror = other
            fields["pair"] = fields["id"]
            fields["shadow_first"] = experiment.mirror_order == "random" and _random.random() < 0.5
        return plan

    def _look_for_cache(self, plan: Plan, bound: BoundRoute, request: Request) -> None:
        """Let a request that asks for the one most likely answer be answered from the cache, if there is one."""
        cache = self.caches.get(bound.experiment.name)
        if cache is None:
            return
        traits = bound.protocol.traits(request.known_body)
        key = cache_key(plan.fields["assigned"], bound.route.epoch, request) if traits.deterministic else None
        if key is not None and not traits.stateful:
            plan.cache, plan.cache_key = cache, key

    async def _refuse_unmatched(self, send: Send, exchange_id: str, path: str) -> None:
        paths = ", ".join(self._watcher.table.paths) or "none"
        message = f"no experiment matches {path!r} and no default_backend is configured; experiments match: {paths}"
        await refuse(send, exchange_id, path, 404, message, "no_experiment")


def _read_head(scope: Scope) -> Request:
    raw_headers = scope["headers"]
    query = scope["query_string"]
    target = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
    return Request(scope["method"], scope["path"], target.decode("latin-1"), dict(raw_headers), raw_headers)


def _slices(bound: BoundRoute, unit_id: str, request: Request, exchange_id: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for slice_ in bound.experiment.slices:
        value = read_source(slice_.source, request.headers, request.known_body)
        if value is not None:
            found[slice_.attribute] = value[:64]
    if bound.route.exposed:
        # A request that names no unit is a new one each time, and has met nothing.
        known = unit_id != exchange_id
        found[_EXPOSED_BEFORE] = "yes" if known and _was_exposed(bound.route.exposed, unit_id) else "no"
    return found


def _was_exposed(exposed: tuple[tuple[str, int], ...], unit_id: str) -> bool:
    """Whether a unit belonged to the treatment in one of these earlier attempts, each a salt and its widest split."""
    unit = unit_id.encode()
    return any(unit_of(salt, unit).bucket < split for salt, split in exposed)
