"""Sessions of browsers: a token is shown once, and a cookie stands for it until it ends.

A browser cannot send a bearer token by itself. The cookie holds a random number that means something to this process
only; it is neither readable by scripts nor sent by other sites, and each request asks anew whether its token still
holds: a token that is taken back ends its sessions at once.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import CookieError, SimpleCookie

from router.admin.tokens import Grant, TokenFile

COOKIE = "touchstone_session"
LIFE = timedelta(hours=12)
_MOST = 1_000


class Sessions:
    """The sessions of one process, for several threads.

    Args:
        tokens: Whose bearers may begin one.
    """

    def __init__(self, tokens: TokenFile) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()
        self._open: dict[str, tuple[str, datetime]] = {}
        """Session -> digest of its token, and its end."""

    def __repr__(self) -> str:
        return f"<Sessions [{len(self._open)} open]>"

    def begin(self, token: str) -> str | None:
        """Begin a session for who shows a good token; returns what the cookie holds, None for a bad one."""
        now = datetime.now(UTC)
        grant = self._tokens.find(token, now)
        if grant is None:
            return None
        session = secrets.token_urlsafe(32)
        with self._lock:
            self._open = {name: kept for name, kept in self._open.items() if now < kept[1]}
            while len(self._open) >= _MOST:
                del self._open[next(iter(self._open))]
            self._open[session] = (grant.digest, now + LIFE)
        return session

    def grant(self, cookies: str) -> Grant | None:
        """Return who asks, by the `Cookie` header; None if there is no session, or its token holds no more."""
        now = datetime.now(UTC)
        for session in _sessions_in(cookies):
            digest, ends = self._open.get(session, ("", now))
            if now < ends and (found := self._tokens.of_digest(digest, now)) is not None:
                return found
        return None

    def end(self, cookies: str) -> None:
        """End the session of a `Cookie` header; no error if there is none."""
        with self._lock:
            for session in _sessions_in(cookies):
                self._open.pop(session, None)


def _sessions_in(cookies: str) -> Iterator[str]:
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return
    if morsel is not None:
        yield morsel.value
