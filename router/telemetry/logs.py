"""Structured logs: JSON on stderr, or readable lines on a terminal. Never a body, a unit id or a secret.

That is the callers' duty first; `redact` is the net below them.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

REDACTED = "[redacted]"
LONGEST = 1000
"""Characters of a value; a longer one is cut. Tracebacks are let through."""
_SECRET_KEY = re.compile(
    r"(?:^|[-_.])(?:authorization|token|password|passwd|secret|credentials?|cookie|api[-_]?key|private[-_]?key)$",
    re.IGNORECASE,
)
_PRIVATE_KEYS = frozenset(
    {"answer", "body", "messages", "prompt", "request_text", "response_text", "text", "unit", "unit_id", "user"}
)
_SECRET_TEXT = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[^\s,;\"']+"
    r"|(?P<login>://)[^\s/@\"']+(?=@)"
    # `name=value`, and as it stands in JSON, in a dictionary or in a pair of raw headers.
    r"|(?P<name>(?<![a-z0-9])(?:authorization|token|password|passwd|secret|api[-_]?key)"
    r"(?:[\\\"']*\s*[=:]\s*|[\\\"']+,\s*)(?:b(?=[\"']))?[\\\"']*)(?!bearer|basic)[^\s,;&\\\"']+"
    r"|(?P<crumbs>\bcookie(?:[\\\"']*\s*[=:]\s*|[\\\"']+,\s*)(?:b(?=[\"']))?[\\\"']*)[^\r\n\\\"']+"
    r"|\bsk-[\w-]{16,}",
    re.IGNORECASE,
)
_DEEPEST = 4


def configure_logs(level: int = logging.INFO) -> None:
    """Set structlog up, once, at the start of a process."""
    terminal = sys.stderr.isatty()
    # Plain tracebacks: the pretty ones show local variables, which are bodies and secrets.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.format_exc_info]),
            redact,
            plain if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The server reports a stream that we broke off on purpose as an error of the application; we log it ourselves.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "returned without completing" not in record.msg)
    # So is a collector of traces that is away.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


def log_to_stderr() -> None:
    """Set structlog up for a command that prints its result: what is logged goes to standard error, as it is then."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, redact, structlog.dev.ConsoleRenderer(colors=False)],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what must not be logged; a processor of structlog. Ids of exchanges stay."""
    for key, value in event.items():
        event[key] = _without_secrets(value) if key == "exception" else _clean(key, value, 0)
    return event


def _clean(key: str, value: Any, depth: int) -> Any:
    if value is not None and is_private(key):
        return REDACTED
    if isinstance(value, (bool, int, float, type(None))):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {name: _clean(str(name), inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEEPEST:
        return [_clean("", inner, depth + 1) for inner in value]
    if key == "exc_info":
        return value  # the renderer's
    return _cut(_without_secrets(_text(value)))


def is_private(key: str) -> bool:
    """Whether a value under this key is a secret, a body or a unit.

    >>> [is_private(key) for key in ("x-api-key", "Set-Cookie", "exchange", "input_tokens")]
    [True, True, False, False]
    """
    return key.lower() in _PRIVATE_KEYS or _SECRET_KEY.search(key) is not None


def _text(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return value[: 2 * LONGEST].decode("utf-8", "replace")
    return str(value)


def _without_secrets(value: Any) -> str:
    return _SECRET_TEXT.sub(_redacted, str(value))


def _redacted(found: re.Match[str]) -> str:
    return (found["scheme"] or found["login"] or found["name"] or found["crumbs"] or "") + REDACTED


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
