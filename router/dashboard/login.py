"""`/login` and `/logout`: a token is shown once, and a cookie stands for it."""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from router.admin.orders import read_order
from router.admin.sessions import COOKIE, LIFE, Sessions
from router.dashboard.rendering import Pages


class LoginOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What the page sends."""

    token: str


class Login:
    """The endpoints.

    Args:
        pages: Renders the page.
        sessions: None where no token is asked for.
    """

    def __init__(self, pages: Pages, sessions: Sessions | None) -> None:
        self._pages = pages
        self._sessions = sessions

    async def enter(self, request: Request) -> Response:
        """Show the page, or begin a session for a good token."""
        if self._sessions is None:
            return RedirectResponse("/", 303)
        if request.method in {"GET", "HEAD"}:
            return self._pages.render("login.html")
        order = await read_order(request, LoginOrder)
        session = self._sessions.begin(order.token)
        if session is None:
            raise HTTPException(401, "the token is unknown or has expired")
        response = Response(status_code=204)
        response.set_cookie(
            COOKIE,
            session,
            max_age=int(LIFE.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def leave(self, request: Request) -> Response:
        """End the session."""
        if self._sessions is not None:
            self._sessions.end(request.headers.get("cookie", ""))
        response = Response(status_code=204)
        response.delete_cookie(COOKIE)
        return response
