"""Who is let through to the admin API: roles, hosts, origins, and what every answer carries."""

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.admin.auth import Gate, JsonOnly
from router.admin.tokens import Role, TokenFile, create_token
from router.fakes.server import serving

JSON = {"content-type": "application/json"}
SECURE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str


class Guarded:
    """An app behind the gate, on a real port; it answers with who acted."""

    def __init__(self, url: str) -> None:
        self.address = url.removeprefix("http://")

    def ask(self, method: str, path: str = "/thing", headers: dict[str, Any] | None = None, body: str = "") -> Answer:
        """Send exactly these headers (a list gives one several times), and the host unless it is among them."""
        connection = http.client.HTTPConnection(self.address, timeout=5)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in ({"host": self.address} | (headers or {})).items():
                for one in value if isinstance(value, list) else [value]:
                    connection.putheader(name, one)
            if body:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body.encode())
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode())
        finally:
            connection.close()


def acting() -> Starlette:
    async def thing(request: Request) -> Response:
        return Response(request.scope["actor"])

    async def broken(_: Request) -> Response:
        raise RuntimeError

    async def page(_: Request) -> Response:
        return Response("", headers={"content-security-policy": "default-src 'self'"})

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/thing", thing, methods=methods, middleware=[Middleware(JsonOnly)]),
            Route("/healthz", thing),
            Route("/broken", broken),
            Route("/page", page),
        ]
    )


@pytest.fixture(name="local", scope="module")
def _local() -> Iterator[Guarded]:
    with serving(Gate(acting(), "127.0.0.1:8081", None)) as url:
        yield Guarded(url)


@pytest.fixture(name="file", scope="module")
def _file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("admin") / "tokens"


@pytest.fixture(name="path")
def _path(file: Path) -> Iterator[Path]:
    """The file of tokens of `closed`; empty for each test."""
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture(name="closed", scope="module")
def _closed(file: Path) -> Iterator[Guarded]:
    with serving(Gate(acting(), "0.0.0.0:8081", TokenFile(file))) as url:
        yield Guarded(url)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# --- tokens and roles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("role", [*Role, None])
def test_who_may_read_and_who_may_act(closed: Guarded, path: Path, role: Role | None, method: str) -> None:
    shown = bearer(create_token(path, "someone", role)) if role else {}
    reading = method in {"GET", "HEAD", "OPTIONS"}

    answer = closed.ask(method, headers=JSON | shown)

    expected = {None: 401, Role.READ: 200 if reading else 403, Role.OPERATE: 200}[role]
    assert answer.status == expected
    if expected == 200 and method != "HEAD":
        assert answer.body == "someone"
    if expected in {401, 403}:
        assert answer.headers["www-authenticate"].startswith('Bearer realm="touchstone"')
        assert answer.headers["content-type"] == "application/problem+json"
        assert method == "HEAD" or json.loads(answer.body)["status"] == expected


@pytest.mark.parametrize(
    ("path_", "status"),
    [
        ("/ofrep/v1/evaluate/flags", 404),
        ("/ofrep/v1/evaluate/flags/support", 404),
        ("/ofrep/v1/evaluate/flagsx", 403),
        ("/ofrep/v1", 403),
    ],
)
def test_a_question_in_a_post_needs_no_more_than_the_role_that_reads(
    closed: Guarded, path: Path, path_: str, status: int
) -> None:
    shown = bearer(create_token(path, "app", Role.READ))

    assert closed.ask("POST", path_, JSON | shown).status == status
    assert closed.ask("DELETE", path_, JSON | shown).status == 403
    assert closed.ask("POST", path_, JSON).status == 401


@pytest.mark.parametrize("path_", ["/thing", "/readyz", "/openapi.json", "/healthz/", "//healthz", "/HEALTHZ", "/none"])
def test_without_a_token_nothing_is_said_of_any_path(closed: Guarded, path_: str) -> None:
    assert closed.ask("GET", path_).status == 401


def test_health_is_open_to_all_under_any_name(closed: Guarded, local: Guarded) -> None:
    assert closed.ask("GET", "/healthz").status == 200
    assert local.ask("GET", "/healthz", {"host": "10.0.0.7:8081"}).status == 200
    assert closed.ask("POST", "/healthz", JSON).status == 405


@pytest.mark.parametrize("shown", [
    "{token}", "Basic {token}", "Bearer {token}x", "Bearer", "Bearer ", "Bearer x {token}",
    ["Bearer {token}", "Bearer {token}"], ["Bearer x", "Bearer {token}"],
])  # fmt: skip
def test_what_is_no_bearer_token_is_refused(closed: Guarded, path: Path, shown: str | list[str]) -> None:
    token = create_token(path, "ci", Role.OPERATE)
    filled = [one.format(token=token) for one in ([shown] if isinstance(shown, str) else shown)]

    answer = closed.ask("GET", headers={"authorization": filled})

    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert token not in answer.body


def test_the_scheme_may_be_written_in_any_case(closed: Guarded, path: Path) -> None:
    token = create_token(path, "ci", Role.READ)

    assert closed.ask("GET", headers={"authorization": f"bEARER {token}"}).status == 200


def test_a_token_that_is_taken_back_or_over_is_refused_at_once(closed: Guarded, path: Path) -> None:
    over = create_token(path, "over", Role.READ, datetime.now(UTC) - timedelta(seconds=1))
    token = create_token(path, "ci", Role.READ)
    before = closed.ask("GET", headers=bearer(token)).status
    path.write_text("")

    assert closed.ask("GET", headers=bearer(over)).status == 401
    assert (before, closed.ask("GET", headers=bearer(token)).status) == (200, 401)


def test_neither_a_token_nor_a_query_is_logged(closed: Guarded, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = create_token(path, "ci", Role.READ)

    assert closed.ask("POST", f"/thing?x={token}", JSON | bearer(token)).status == 403

    captured = capsys.readouterr()
    assert "admin_refused" in captured.out + captured.err
    assert token not in captured.out + captured.err


@pytest.mark.parametrize("address", ["0.0.0.0:8081", "[::]:8081", "10.1.2.3:8081", "admin.example:8081"])
def test_off_loopback_without_tokens_everything_is_refused(address: str) -> None:
    with serving(Gate(acting(), address, None)) as url:
        assert Guarded(url).ask("GET").status == 401
        assert Guarded(url).ask("POST", headers=JSON).status == 401


# --- other web sites --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8081", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8081"])
def test_on_loopback_without_tokens_everyone_on_this_machine_may_do_everything(local: Guarded, host: str) -> None:
    assert local.ask("GET", headers={"host": host})[::2] == (200, "local")
    assert local.ask("POST", headers={"host": host} | JSON)[::2] == (200, "local")


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example",
    "", "[::2]", "localhost:x", "localhost evil", ["localhost", "evil.example"], [],
])  # fmt: skip
def test_a_name_that_was_bound_to_this_machine_by_a_stranger_is_refused(local: Guarded, host: str | list[str]) -> None:
    answer = local.ask("GET", headers={"host": host})

    # 400 comes from the server, which reads the header too.
    assert answer.status in {421, 400}
    assert answer.body != "local"


def test_with_tokens_any_name_is_good_because_a_page_has_no_token(closed: Guarded, path: Path) -> None:
    token = create_token(path, "ci", Role.READ)

    assert closed.ask("GET", headers={"host": "touchstone.example"} | bearer(token)).status == 200
    assert closed.ask("GET", headers={"host": "touchstone.example"}).status == 401


@pytest.mark.parametrize("origin", [
    "http://evil.example", "null", "http://localhost:1", "https://127.0.0.1", "http://127.0.0.1.evil.example", "http://[",
    ["http://127.0.0.1", "http://evil.example"],
])  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_an_action_from_another_web_site_is_refused(local: Guarded, method: str, origin: str | list[str]) -> None:
    answer = local.ask(method, headers=JSON | {"origin": origin})

    assert (answer.status, "other web sites" in answer.body) == (403, True)


def test_an_action_from_the_page_of_this_port_is_let_through(local: Guarded) -> None:
    assert local.ask("POST", headers=JSON | {"origin": f"http://{local.address}"}).status == 200


@pytest.mark.parametrize("kind", [
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain",
    "text/plain; application/json", "application/jsonp", "", ["application/json", "text/plain"], None,
])  # fmt: skip
def test_what_a_form_can_send_is_no_action(local: Guarded, kind: str | list[str] | None) -> None:
    headers = {} if kind is None else {"content-type": kind}

    assert local.ask("POST", headers=headers, body="{}").status == 415
    assert local.ask("POST", headers=headers).status == 415
    assert local.ask("DELETE", headers=headers, body="{}").status == 415


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_an_action(local: Guarded, kind: str) -> None:
    assert local.ask("POST", headers={"content-type": kind}, body="{}").status == 200


def test_a_preflight_gets_no_permission(local: Guarded) -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}

    answer = local.ask("OPTIONS", headers=asked)

    assert not [name for name in answer.headers if name.startswith("access-control-")]


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path_", ["/thing", "/none", "/broken", "/healthz"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_every_answer_has_the_secure_headers(local: Guarded, closed: Guarded, method: str, path_: str) -> None:
    for guarded in (local, closed):
        answer = guarded.ask(method, path_)
        assert SECURE.items() <= answer.headers.items(), answer


def test_a_page_may_name_its_own_sources(local: Guarded) -> None:
    headers = local.ask("GET", "/page").headers

    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["x-content-type-options"] == "nosniff"
