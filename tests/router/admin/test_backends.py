"""Draining a backend over the admin API, on a real port and a real store."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests_history import CONFIG, Life, living

from experiments.model import Drain
from router.admin.app import build_admin
from router.admin.tokens import Role, create_token
from router.fakes.server import serving

ONE, TWO = "http://127.0.0.1:9/", "http://127.0.0.1:10"
TEXT = CONFIG.replace('[backends.int4]\nurl = "http://127.0.0.1:9"', f'[backends.int4]\nurls = ["{ONE}", "{TWO}"]')
BACKENDS = "/api/v1/backends"
DRAIN = f"{BACKENDS}/int4/drain"
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    text = TEXT.replace("[router]", '[router]\nadmin_tokens = "tokens"')
    with living(tmp_path, text) as life:
        life.store.migrate()
        yield life


@pytest.fixture(name="ask")
def _ask(life: Life, tmp_path: Path) -> Iterator[Ask]:
    """Ask as somebody with a role, and return status and JSON."""
    tokens = {role: create_token(tmp_path / "tokens", f"a-{role}", role) for role in Role}
    with serving(build_admin(life.config, life.store)) as url:

        def ask(method: str, path: str, body: Any = None, role: Role = Role.OPERATE) -> tuple[int, Any]:
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"authorization": f"Bearer {tokens[role]}", "content-type": "application/json"}
            request = urllib.request.Request(url + path, data, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=5) as response:
                    return response.status, json.loads(response.read() or b"null")
            except urllib.error.HTTPError as error:
                with error:
                    kind = error.headers["content-type"]
                    return error.code, json.load(error) if kind == "application/problem+json" else kind

        yield ask


def test_backends_are_shown_with_their_endpoints_and_nothing_is_drained_at_first(ask: Ask) -> None:
    assert ask("GET", BACKENDS, role=Role.READ) == (
        200,
        [
            {"name": "original", "urls": ["http://127.0.0.1:9"], "protocol": "openai", "drains": []},
            {"name": "int4", "urls": [ONE, TWO], "protocol": "openai", "drains": []},
        ],
    )


def test_a_drain_is_in_the_store_with_who_asked_when_and_why(ask: Ask, life: Life) -> None:
    before = time.time()

    status, answer = ask("POST", DRAIN, {"reason": "new weights"})

    [drain] = life.store.drains()
    assert (status, answer) == (200, {**answer, "backend": "int4", "endpoint": "", "actor": "a-operate"})
    assert drain == Drain(**answer)
    assert drain.reason == "new weights"
    assert before <= drain.since <= time.time()
    assert ask("GET", BACKENDS)[1][1]["drains"] == [answer]
    assert ask("GET", BACKENDS)[1][0]["drains"] == []


@pytest.mark.parametrize(("asked", "meant"), [(ONE, ONE), (ONE.rstrip("/"), ONE), (TWO, TWO), (f"{TWO}/", TWO)])
def test_one_endpoint_is_drained_under_the_name_that_the_configuration_gives_it(
    ask: Ask, life: Life, asked: str, meant: str
) -> None:
    assert ask("POST", DRAIN, {"reason": "spot", "endpoint": asked})[0] == 200
    assert [drain.endpoint for drain in life.store.drains()] == [meant]

    assert ask("DELETE", f"{DRAIN}?endpoint={asked}") == (204, None)
    assert life.store.drains() == []


def test_draining_twice_is_one_drain_and_lifting_twice_is_no_error(ask: Ask, life: Life) -> None:
    for reason in ("first", "second"):
        assert ask("POST", DRAIN, {"reason": reason})[0] == 200
    assert len(life.store.drains()) == 1

    assert [ask("DELETE", DRAIN)[0] for _ in range(2)] == [204, 204]
    assert life.store.drains() == []


def test_lifting_the_whole_leaves_the_drain_of_an_endpoint(ask: Ask, life: Life) -> None:
    ask("POST", DRAIN, {"reason": "all"})
    ask("POST", DRAIN, {"reason": "one", "endpoint": TWO})

    ask("DELETE", DRAIN)

    assert [(drain.endpoint, drain.reason) for drain in life.store.drains()] == [(TWO, "one")]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_who_may_only_read_drains_nothing_and_lifts_nothing(ask: Ask, life: Life, method: str) -> None:
    ask("POST", DRAIN, {"reason": "kept"})

    assert ask(method, DRAIN, {"reason": "other"} if method == "POST" else None, role=Role.READ)[0] == 403

    assert [drain.reason for drain in life.store.drains()] == ["kept"]


@pytest.mark.parametrize(("path", "body", "status", "said"), [
    (f"{BACKENDS}/int8/drain", {"reason": "x"}, 404, "no backend is named 'int8'"),
    (DRAIN, {"reason": "x", "endpoint": "http://elsewhere"}, 404, "is no endpoint of int4; its endpoints: http://127"),
    (DRAIN, {"reason": "x", "endpoint": ""}, 422, "endpoint"),
    (DRAIN, {}, 422, "`reason`"),
    (DRAIN, {"reason": ""}, 422, "reason"),
    (DRAIN, {"reason": "a\nb"}, 422, "reason"),
    (DRAIN, {"reason": "a\u0000"}, 422, "reason"),
    (DRAIN, {"reason": "x\n"}, 422, "reason"),
    (DRAIN, {"reason": "x" * 501}, 422, "reason"),
    (DRAIN, {"reason": "x", "since": 5}, 422, "since"),
    (DRAIN, [], 422, "object"),
    (DRAIN, b"{", 400, "not JSON"),
    (DRAIN, b'{"reason": "\\ud800"}', 400, "not JSON"),
    (DRAIN, b"[" * 10_000, 422, "object"),
    (DRAIN, b" " * 20_000, 413, "larger than"),
])  # fmt: skip
def test_what_cannot_be_drained_is_refused_and_nothing_changes(
    ask: Ask, life: Life, path: str, body: Any, status: int, said: str
) -> None:
    found, problem = ask("POST", path, body)

    assert (found, said in problem["detail"]) == (status, True), problem
    assert life.store.drains() == []


def test_a_store_that_is_away_is_told(ask: Ask, life: Life) -> None:
    with life.store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE drain")

    for method, path, body in (("GET", BACKENDS, None), ("POST", DRAIN, {"reason": "x"}), ("DELETE", DRAIN, None)):
        status, problem = ask(method, path, body)
        assert (status, problem["detail"]) == (503, "the store cannot be read: OperationalError")


def test_no_secret_of_the_configuration_is_shown(life: Life) -> None:
    backend = life.config.backends["int4"].model_copy(update={"api_key": "env:HUSH_HUSH"})
    router = life.config.router.model_copy(update={"admin_tokens": None})
    config = life.config.model_copy(update={"backends": {"int4": backend}, "router": router})

    with serving(build_admin(config, life.store)) as url, urllib.request.urlopen(url + BACKENDS, timeout=5) as answer:
        assert b"HUSH" not in answer.read()
