"""OpenFeature's remote protocol on the admin port: one flag, all of them with an ETag, and errors in its own form."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests_history import Life, living

from experiments.assignment import assign, unit_of
from router.admin.app import build_admin
from router.fakes.server import serving

FLAGS = "/ofrep/v1/evaluate/flags"


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


@pytest.fixture(name="url")
def _url(life: Life) -> Iterator[str]:
    with serving(build_admin(life.config, life.store)) as url:
        yield url


def ask(url: str, body: Any, kind: str = "application/json", **headers: str) -> tuple[int, Any, str]:
    """Return status, body and ETag."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": kind, **headers}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, json.loads(response.read()), response.headers.get("etag", "")
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
            return error.code, json.loads(text) if text else None, error.headers.get("etag", "")


def of(user: str) -> dict[str, Any]:
    return {"context": {"targetingKey": user, "plan": "gold", "visits": 3}}


def test_a_flag_is_answered_with_the_variant_that_its_unit_has_in_each_form(url: str, life: Life) -> None:
    life.start()
    route = life.store.route_states()["support"].route

    for number in range(20):
        variant = assign(unit_of(route.salt, f"u{number}".encode()).bucket, route.split_basis_points).variant
        status, answer, _ = ask(f"{url}{FLAGS}/support", of(f"u{number}"))
        assert (status, answer["value"], answer["variant"], answer["reason"]) == (200, variant, variant, "SPLIT")
        assert (answer["key"], answer["metadata"]["phase"]) == ("support", "running")
        treated = ask(f"{url}{FLAGS}/support:treated", of(f"u{number}"))[1]
        backend = ask(f"{url}{FLAGS}/support:backend", of(f"u{number}"))[1]
        assert treated["value"] is (variant == "treatment")
        assert (backend["key"], backend["value"]) == ("support:backend", "int4" if treated["value"] else "original")


def test_all_flags_come_with_an_etag_that_holds_until_something_changes_for_the_unit(url: str, life: Life) -> None:
    life.start()
    status, answer, tag = ask(url + FLAGS, of("u1"))
    keys = [flag["key"] for flag in answer["flags"]]
    assert (status, keys) == (200, ["support", "support:treated", "support:backend", "support:details"])
    assert ask(url + FLAGS, of("u1"), **{"If-None-Match": f'"other", W/{tag}'}) == (304, None, tag)
    assert ask(url + FLAGS, of("u1"), **{"If-None-Match": '"other"'})[0] == 200

    life.serve(0, 200)
    life.tick()
    assert life.store.routes()[0].stage == 1
    for _ in range(100):
        status, answer, newer = ask(url + FLAGS, of("u1"), **{"If-None-Match": tag})
        if status == 200:
            break
    assert (status, newer != tag, answer["flags"][0]["metadata"]["stage"]) == (200, True, 1)


@pytest.mark.parametrize(
    ("key", "body", "status", "code", "says"),
    [
        ("/suport", of("u1"), 404, "FLAG_NOT_FOUND", 'did you mean "support"?'),
        ("/support:x", of("u1"), 404, "FLAG_NOT_FOUND", "no form of a flag"),
        ("/support", {}, 400, "TARGETING_KEY_MISSING", "the unit's id"),
        ("/support", {"context": {"targetingKey": 7}}, 400, "INVALID_CONTEXT", "must be a text"),
        ("/support", {"context": 7}, 400, "INVALID_CONTEXT", "Expected `object`"),
        ("/support", b"{", 400, "PARSE_ERROR", "not JSON"),
        ("", {}, 400, "TARGETING_KEY_MISSING", "the unit's id"),
    ],
)
def test_what_has_no_answer_says_why_in_the_protocols_own_form(
    url: str, life: Life, key: str, body: Any, status: int, code: str, says: str
) -> None:
    life.start()

    found, answer, _ = ask(f"{url}{FLAGS}{key}", body)

    assert (found, answer["errorCode"]) == (status, code)
    assert says in answer["errorDetails"]
    assert answer.get("key", "") == key.removeprefix("/")


def test_the_rules_of_the_admin_port_hold_here_too(url: str, life: Life) -> None:
    assert ask(f"{url}{FLAGS}/support", of("u1"))[0] == 503, "no store yet"
    life.start()

    assert ask(f"{url}{FLAGS}/support", of("u1"), "text/plain")[0] == 415
    assert ask(f"{url}{FLAGS}/support", b" " * 20_000)[0] == 413
    assert ask(f"{url}{FLAGS}/support", of("u1"), Origin="http://evil.example")[0] == 403
    assert ask(f"{url}{FLAGS}/support", of("u1"), Host="evil.example")[0] == 421
