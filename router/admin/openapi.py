"""The OpenAPI document of the admin API. Its schemas are those of the records that the API encodes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import msgspec

from experiments.config import Config
from experiments.evidence import Evidence
from experiments.model import Drain
from experiments.operating import Command
from experiments.pairs.reader import PairPage
from experiments.showing.ledger import SavingsLedger
from experiments.showing.metric_rows import MetricRow
from experiments.showing.summary import ExperimentSummary
from experiments.stored import Look, Transition
from experiments.telling.escalation import Acknowledgement
from experiments.telling.incidents import IncidentView
from router.admin import pairs
from router.admin.backends import BackendView, DrainOrder
from router.admin.experiments import CommandOrder
from router.admin.incidents import CSV, JSON_LINES, AcknowledgementOrder
from router.processes.reload_status import RefusedConfig

Json = dict[str, Any]
_BY_NAME = 404
_CHECKED_BODY = (400, 403, 413, 415, 422)


class ExperimentRow(msgspec.Struct):
    """One experiment, in a line."""

    experiment: str
    phase: str
    split: str
    live: int
    pairs: int
    units: int
    says: str
    epoch: int
    tone: str
    stage: int
    looked_at: float | None
    savings: SavingsLedger


class Explained(msgspec.Struct):
    """One experiment with its newest look and its history."""

    experiment: str
    look: Look | None
    transitions: list[Transition]


class ConfigView(msgspec.Struct, frozen=True):
    """Which configuration serves: nothing of what is in it."""

    path: str
    """The file; what was last read from it without an error is what serves."""
    refused: RefusedConfig | None
    """What is wrong with the file as it is now, if it was changed and could not be taken up."""


class Problem(msgspec.Struct):
    """An error, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] = []


class _Operation(NamedTuple):
    method: str
    path: str
    summary: str
    answer: Any
    """Type of the answer's JSON; `str` for plain text, None for no content."""
    problems: tuple[int, ...] = ()
    body: Any = None
    query: Mapping[str, str] = {}
    """Name of a parameter -> what it does."""
    query_schemas: Mapping[str, Json] = {}
    """Of parameters that are not any text."""
    text_types: tuple[str, ...] = ("text/plain",)
    """Media types of plain text."""


_COMMANDS = {
    Command.PAUSE: "Control serves everyone until somebody resumes.",
    Command.RESUME: "Go on where it was paused.",
    Command.ADVANCE: "The next stage of the ramp, now.",
    Command.ROLLBACK: "End it: control serves everyone. Takes back a promotion, too.",
    Command.PROMOTE: "End it: the treatment serves everyone.",
    Command.STOP: "End it without a winner.",
}
_OPERATIONS = (
    _Operation("get", "/healthz", "Whether the process lives; open to all.", str),
    _Operation("get", "/readyz", "Whether the store can be read; with a note of what else is wrong.", str, (503,)),
    _Operation(
        "get",
        "/metrics",
        "The figures of all proxies added up, as Prometheus reads them; OpenMetrics if `Accept` asks for it.",
        str,
        text_types=("text/plain", "application/openmetrics-text"),
    ),
    _Operation("get", "/openapi.json", "This document.", dict[str, Any]),
    _Operation("get", "/api/v1/config", "Which file serves, and whether a change of it was refused.", ConfigView),
    _Operation("get", "/api/v1/experiments", "All experiments, a line each.", list[ExperimentRow], (503,)),
    _Operation(
        "get", "/api/v1/experiments/{name}", "The newest look, its decision, the history.", Explained, (_BY_NAME, 503)
    ),
    _Operation("get", "/api/v1/experiments/{name}/evidence", "The newest evidence.", Evidence | None, (_BY_NAME, 503)),
    _Operation(
        "get", "/api/v1/experiments/{name}/decisions", "Changes of phase or stage.", list[Transition], (_BY_NAME, 503)
    ),
    _Operation(
        "get",
        "/api/v1/experiments/{name}/summary",
        "All that the dashboard says of it, in words and figures.",
        ExperimentSummary,
        (_BY_NAME, 503),
    ),
    _Operation(
        "get",
        "/api/v1/experiments/{name}/slices",
        "Each slice with its verdict, harmed ones first.",
        list[MetricRow],
        (_BY_NAME, 503),
    ),
    _Operation(
        "get",
        "/api/v1/experiments/{name}/pairs",
        "Both answers of pairs, with their scores, a page at a time.",
        PairPage,
        (_BY_NAME, 422, 503),
        query=pairs.QUERY,
        query_schemas=pairs.SCHEMAS,
    ),
    *(
        _Operation(
            "post",
            f"/api/v1/experiments/{{name}}/{command}",
            f"{says} Role: operate.",
            Transition,
            (*_CHECKED_BODY, _BY_NAME, 409, 503),
            body=CommandOrder,
        )
        for command, says in _COMMANDS.items()
    ),
    _Operation(
        "get",
        "/api/v1/incidents",
        "What is critical and nobody has acknowledged, the oldest first.",
        list[IncidentView],
        (503,),
    ),
    _Operation(
        "post",
        "/api/v1/incidents/{key}/acknowledge",
        "Take it on: it is not told again, unless it happens again. Role: operate.",
        Acknowledgement,
        (*_CHECKED_BODY, _BY_NAME, 503),
        body=AcknowledgementOrder,
    ),
    _Operation(
        "get",
        "/api/v1/audit",
        "Who or what did what, when, why, from which evidence: a JSON object a line, or CSV if `Accept` asks for it.",
        str,
        (_BY_NAME, 503),
        query={"experiment": "Its name; all unless given."},
        text_types=(JSON_LINES, CSV),
    ),
    _Operation(
        "get",
        "/api/v1/events",
        "Server-sent events `state`: a fingerprint that changes when something is new, and how fresh the looks are.",
        str,
        (503,),
        text_types=("text/event-stream",),
    ),
    _Operation("get", "/api/v1/backends", "All backends, with what is drained.", list[BackendView], (503,)),
    _Operation(
        "post",
        "/api/v1/backends/{name}/drain",
        "Give a backend, or one endpoint, no new requests. Role: operate.",
        Drain,
        (*_CHECKED_BODY, _BY_NAME, 503),
        body=DrainOrder,
    ),
    _Operation(
        "delete",
        "/api/v1/backends/{name}/drain",
        "Give it requests again. Role: operate.",
        None,
        (403, _BY_NAME, 415, 503),
        query={"endpoint": "One of the backend's URLs; what was drained as a whole unless given."},
    ),
)


def document(config: Config) -> Json:
    """Return the document; it names the experiments and backends that are configured."""
    names = {"experiments": sorted(config.experiments), "backends": sorted(config.backends)}
    types = [Problem, *(t for op in _OPERATIONS for t in (op.answer, op.body) if t not in {None, str})]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, Json] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, schema_of, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Touchstone admin API", "version": _version()},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # Either: on loopback without a file of tokens, none is needed.
        "security": [{"token": []}, {}],
    }


def _described(operation: _Operation, schema_of: Mapping[str, Json], names: Mapping[str, list[str]]) -> Json:
    allowed = names.get(operation.path.split("/")[3] if "{name}" in operation.path else "", [])
    schema: Json = {"type": "string", "enum": allowed} if allowed else {"type": "string", "minLength": 1}
    named = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in ("name", "key")
        if f"{{{name}}}" in operation.path
    ]
    asked = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": text,
            "schema": operation.query_schemas.get(name, {"type": "string"}),
        }
        for name, text in operation.query.items()
    ]
    described: Json = {
        "summary": operation.summary,
        "operationId": f"{operation.method}{operation.path.translate(str.maketrans('/.{}', '____'))}",
        "parameters": [*named, *asked],
        "responses": _responses(operation, schema_of),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": schema_of[repr(operation.body)]}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.path == "/healthz":
        described["security"] = []
    return described


def _responses(operation: _Operation, schema_of: Mapping[str, Json]) -> Json:
    problem = {"application/problem+json": {"schema": schema_of[repr(Problem)]}}
    guarded = () if operation.path == "/healthz" else (401, 421)
    found: Json = {
        str(status): {"description": HTTPStatus(status).phrase, "content": problem}
        for status in sorted({*operation.problems, *guarded})
    }
    if operation.answer is None:
        return {"204": {"description": "Done."}, **found}
    if operation.answer is str:
        content: Json = {kind: {"schema": {"type": "string"}} for kind in operation.text_types}
    else:
        content = {"application/json": {"schema": schema_of[repr(operation.answer)]}}
    return {"200": {"description": "OK", "content": content}, **found}


def _version() -> str:
    try:
        return version("touchstone-router")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
