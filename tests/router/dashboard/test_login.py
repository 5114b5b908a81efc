"""Logging in and out: where no token is asked for there is no login, and a session that is left is over."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from router.admin.sessions import COOKIE, Sessions
from router.admin.tokens import Role, TokenFile, create_token
from router.dashboard.login import Login
from router.dashboard.rendering import Pages


def client(sessions: Sessions | None) -> TestClient:
    login = Login(Pages(), sessions)
    routes = [Route("/login", login.enter, methods=["GET", "POST"]), Route("/logout", login.leave, methods=["POST"])]
    return TestClient(Starlette(routes=routes), follow_redirects=False)


def test_where_no_token_is_asked_for_the_login_leads_to_the_pages() -> None:
    found = client(None).get("/login")

    assert (found.status_code, found.headers["location"]) == (303, "/")


def test_who_leaves_has_no_session_any_more(tmp_path: Path) -> None:
    token = create_token(tmp_path / "tokens", "asha", Role.READ)
    sessions = Sessions(TokenFile(tmp_path / "tokens"))
    browser = client(sessions)

    entered = browser.post("/login", json={"token": token})
    cookie = f"{COOKIE}={entered.cookies[COOKIE]}"
    assert entered.status_code == 204
    assert sessions.grant(cookie) is not None

    left = browser.post("/logout", headers={"cookie": cookie})
    assert left.status_code == 204
    assert sessions.grant(cookie) is None


@pytest.mark.parametrize("body", [{}, {"token": 1}, {"token": "x", "more": 1}])
def test_anything_but_a_token_is_refused(tmp_path: Path, body: dict) -> None:
    assert client(Sessions(TokenFile(tmp_path / "tokens"))).post("/login", json=body).status_code == 422
