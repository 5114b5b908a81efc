"""Who may use the admin port, and how: tokens, roles, and what keeps other web sites out. Plain ASGI, around the app.

With a file of tokens every request shows one, or the session that a browser began with one; only health, the page to
log in and the pages' scripts and styles are open. Without it, on loopback, everyone on this machine may do everything;
a web page that is open there may not, even if its own name is made to mean 127.0.0.1 (DNS rebinding): the
`Host` header must name this machine. Actions need JSON, which no form can send, and no foreign `Origin`; CORS is off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.config.hosts import is_loopback
from router.admin.sessions import Sessions
from router.admin.tokens import Grant, Role, TokenFile
from router.errors import problem

_log = structlog.get_logger(__name__)
LOCAL_ACTOR = "local"
"""Who acts where no tokens are asked for."""
OPEN_PATH = "/healthz"
LOGIN_PATH, LOGOUT_PATH = "/login", "/logout"
STATIC_PATH = "/static/"
ASKING_PATH = "/ofrep/v1/evaluate/flags"
# Whoever may only read may log out, too.
_OPEN_PATHS = {OPEN_PATH, LOGIN_PATH, LOGOUT_PATH}
_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?", re.ASCII)
_READING = {"GET", "HEAD", "OPTIONS"}
_FORM_METHODS = {"POST"}
"""What a form of a foreign page can send without asking first."""
_CHALLENGE = 'Bearer realm="touchstone"'
_SECURE_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-resource-policy": b"same-origin",
    b"x-frame-options": b"DENY",
}


class _Refusal(NamedTuple):
    status: int
    detail: str
    challenge: str = ""


_NOT_JSON = _Refusal(415, "the content-type must be application/json")


class Gate:
    """Lets a request through to the app, with its `actor` in the scope, or refuses it with problem details.

    Args:
        app: What is guarded.
        address: `host:port` of the admin port, as configured.
        tokens: None where no tokens are configured: then only a port on loopback is open.
        sessions: Of browsers; where there are tokens.
    """

    def __init__(self, app: ASGIApp, address: str, tokens: TokenFile | None, sessions: Sessions | None = None) -> None:
        self._app = app
        self._tokens = tokens
        self._sessions = sessions
        host = address.rpartition(":")[0].lower()
        self._is_local = is_loopback(host)
        self._names = _LOCAL_NAMES | {host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything but HTTP and the lifespan is dropped."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guard(scope, receive, _secured(send))

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._admit_open(scope) if _is_open(scope["path"]) else self._admit(scope)
        if isinstance(found, _Refusal):
            if found.status == 401 and wants_page(scope):
                await RedirectResponse(LOGIN_PATH, 303)(scope, receive, send)
                return
            _log.warning("admin_refused", status=found.status, method=scope["method"], path=scope["path"])
            await _answer(found)(scope, receive, send)
        else:
            await self._app({**scope, "actor": found}, receive, send)

    @staticmethod
    def _admit_open(scope: Scope) -> str | _Refusal:
        return (None if scope["method"] in _READING else _foreign(scope)) or LOCAL_ACTOR

    def _admit(self, scope: Scope) -> str | _Refusal:
        """Return the name of who asks, or why that is refused."""
        found = self._local(scope) if self._tokens is None else self._bearer(self._tokens, scope)
        if isinstance(found, _Refusal):
            return found
        return (None if scope["method"] in _READING else _foreign(scope)) or found

    def _local(self, scope: Scope) -> str | _Refusal:
        if not self._is_local:
            return _Refusal(401, "this port is not on loopback, and no tokens are configured", _CHALLENGE)
        hosts = list(_values(scope, b"host"))
        named = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if named is None or named[1] not in self._names:
            return _Refusal(421, "without tokens, the Host header must name this machine: localhost or 127.0.0.1")
        return LOCAL_ACTOR

    def _bearer(self, tokens: TokenFile, scope: Scope) -> str | _Refusal:
        grant = self._grant(tokens, scope)
        if not isinstance(grant, Grant):
            return grant
        if scope["method"] not in _READING and not _only_asks(scope) and grant.role is not Role.OPERATE:
            detail = f"the token has the role {grant.role}; this needs {Role.OPERATE}"
            return _Refusal(403, detail, f'{_CHALLENGE}, error="insufficient_scope"')
        return grant.name

    def _grant(self, tokens: TokenFile, scope: Scope) -> Grant | _Refusal:
        shown = list(_values(scope, b"authorization"))
        if not shown:
            cookies = list(_values(scope, b"cookie"))
            session = self._sessions.grant(cookies[0]) if self._sessions is not None and len(cookies) == 1 else None
            return session or _Refusal(401, "a bearer token is needed", _CHALLENGE)
        scheme, _, token = shown[0].partition(" ")
        is_bearer = len(shown) == 1 and scheme.lower() == "bearer"
        grant = tokens.find(token.strip(), datetime.now(UTC)) if is_bearer else None
        return grant or _Refusal(401, "the token is unknown or has expired", f'{_CHALLENGE}, error="invalid_token"')


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(STATIC_PATH)


def _only_asks(scope: Scope) -> bool:
    """Whether a POST changes nothing: OpenFeature's protocol asks in bodies."""
    return scope["method"] == "POST" and f"{scope['path']}/".startswith(f"{ASKING_PATH}/")


def wants_page(scope: Scope) -> bool:
    """Whether a person's browser asks for a page, rather than a program for data."""
    wants_html = any("text/html" in accepted for accepted in _values(scope, b"accept"))
    return wants_html and scope["method"] == "GET" and not scope["path"].startswith("/api/")


class JsonOnly:
    """Refuses what a form can send, around every endpoint: a method that is not there is told before.

    Args:
        app: The endpoint.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        app = self._app if scope["method"] in _READING or _is_json(scope) else _answer(_NOT_JSON)
        await app(scope, receive, send)


def _is_json(scope: Scope) -> bool:
    has_body = any(_values(scope, b"transfer-encoding")) or any(n != "0" for n in _values(scope, b"content-length"))
    if not has_body and scope["method"] not in _FORM_METHODS:
        return True
    return [kind.partition(";")[0].strip().lower() for kind in _values(scope, b"content-type")] == ["application/json"]


def _foreign(scope: Scope) -> _Refusal | None:
    """Refuse an action that another web site may have sent."""
    origins, hosts = list(_values(scope, b"origin")), list(_values(scope, b"host"))
    if origins and (len(origins) > 1 or [_netloc(origins[0])] != [host.lower() for host in hosts]):
        return _Refusal(403, "actions from other web sites are refused")
    return None


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _values(scope: Scope, name: bytes) -> Iterator[str]:
    return (value.decode("latin-1") for key, value in scope["headers"] if key == name)


def _answer(refusal: _Refusal) -> Response:
    response = problem(refusal.status, refusal.detail)
    if refusal.challenge:
        response.headers["www-authenticate"] = refusal.challenge
    return response


def _secured(send: Send) -> Send:
    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            _secure(message)
        await send(message)

    return secured


def _secure(message: MutableMapping[str, Any]) -> None:
    """Add the secure headers; what the app has set itself stays, so that a page may name its own sources."""
    headers = list(message.get("headers", ()))
    there = {name.lower() for name, _ in headers}
    message["headers"] = [*headers, *((name, value) for name, value in _SECURE_HEADERS.items() if name not in there)]
