"""From a request to a plan: read it, find the experiment, assign the unit. Plain ASGI.

    read the body -> find the experiment -> assign the unit -> mirror, or not -> `router.exchange` serves it

One rule shapes the code: the user's request always wins. Nothing here waits for a store, a scorer or a mirror.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from starlette.types import Receive, Scope, Send

from experiments.assignment import BUCKETS, assign, unit_of
from experiments.config.records import Config, Experiment
from experiments.model import TREATMENT
from experiments.protocols import Protocol, protocol
from router.cache import build_caches, cache_key
from router.errors import BodyTooLargeError, ClientGoneError, OverloadedError
from router.exchange import LiveExchange, Services
from router.front.answers import overloaded, refuse, too_large
from router.front.bodies import BodyReader
from router.headers import content_length, request_headers
from router.plan import Plan, Request
from router.recording import Sink
from router.routes import BoundRoute, RouteWatcher, read_source
from router.shadow import ShadowPool
from router.telemetry.tracing import Tracer
from router.timing import uuid7
from router.upstream.retry_budget import RetryBudget
from router.upstream.upstream import Upstream

_random = random.Random()  # noqa: S311  # draws a sample, keeps no secret
_SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "POST"})
"""POST because that is how a model is asked; what a request may change is said by `mirror_exclude`."""


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
        plan = self._plan(request, exchange_id)
        if plan is None:
            await self._refuse_unmatched(send, exchange_id, request.path)
            return
        self._trace(plan, request)
        with self.bodies.holding(request.body):
            await LiveExchange(self.services, request, plan, send).run(receive)

    def _trace(self, plan: Plan, request: Request) -> None:
        if self._tracer is None:
            return
        plan.span = self._tracer.begin(request.headers)
        if plan.span is not None:
            plan.span.carry(plan.headers)

    # --- planning -----------------------------------------------------------------------------------------------------

    def _plan(self, request: Request, exchange_id: str) -> Plan | None:
        fields: dict[str, Any] = {
            "id": exchange_id,
            "at": time.time(),
            "method": request.method,
            "path": request.path,
            "bytes_in": len(request.known_body),
        }
        found = self._watcher.table.find(request.path, request.headers, request.known_body, exchange_id)
        if found is not None:
            return self._plan_experiment(*found, request, fields)
        if self._default is None:
            return None
        fields |= {"experiment": "", "protocol": self._default.protocol}
        plan = Plan(self._default, protocol(self._default.protocol), fields, self._capture_bytes)
        plan.headers = request_headers(request.raw_headers, plain_text=False)
        return plan

    def _plan_experiment(self, bound: BoundRoute, unit_id: str, request: Request, fields: dict[str, Any]) -> Plan:
        experiment, route, body = bound.experiment, bound.route, request.known_body
        unit = unit_of(route.salt, unit_id.encode())
        variant, propensity = assign(unit.bucket, route.split_basis_points)
        control, treatment = self._upstreams[experiment.control], self._upstreams[experiment.treatment]
        treated = variant == TREATMENT
        captured = self._capture_bytes if experiment.capture != "none" else 0
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
            "slices": _slices(bound, request),
            "request_text": body[:captured].decode("utf-8", "replace"),
        }
        if len(body) > captured:
            fields["truncated"] = True
        first, other = (treatment, control) if treated else (control, treatment)
        plan = Plan(first, bound.protocol, fields, captured, expose_variant=experiment.expose_variant)
        if experiment.fallback == "both" or (treated and experiment.fallback == "to_control"):
            plan.fallback = other
        # An answer that is to be compared is recorded as text: ask for it uncompressed.
        plan.headers = request_headers(request.raw_headers, plain_text=True)
        self._look_for_cache(plan, bound, request)
        if _is_drawn(route.mirror_basis_points) and _may_be_mirrored(experiment, bound.protocol, request):
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


def _is_drawn(basis_points: int) -> bool:
    return basis_points > 0 and _random.random() * BUCKETS < basis_points


def _may_be_mirrored(experiment: Experiment, speaks: Protocol, request: Request) -> bool:
    """Whether sending the request a second time is harmless, as far as the experiment says what is not."""
    if not isinstance(request.body, bytes):
        return False
    excluded = experiment.mirror_exclude
    if not excluded:
        return True
    if "not_idempotent" in excluded and request.method not in _SAFE_TO_REPEAT:
        return False
    if any(name[7:].lower().encode() in request.headers for name in excluded if name.startswith("header:")):
        return False
    traits = speaks.traits(request.body)
    return not ((traits.tools and "tools" in excluded) or (traits.stateful and "stateful" in excluded))


def _slices(bound: BoundRoute, request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for slice_ in bound.experiment.slices:
        value = read_source(slice_.source, request.headers, request.known_body)
        if value is not None:
            found[slice_.attribute] = value[:64]
    return found
