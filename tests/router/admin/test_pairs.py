"""`GET /api/v1/experiments/NAME/pairs`, on a real port and a real store."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from tests_history import Life, bad, living

from router.admin.pairs import Pairs
from router.errors import problem
from router.fakes.server import serving

Ask = Callable[[str], tuple[int, Any]]


@pytest.fixture(name="ask", scope="module")
def _ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    with living(tmp_path_factory.mktemp("life")) as life:
        yield from _serving(life)


def _serving(life: Life) -> Iterator[Ask]:
    life.start()
    life.serve(0, 20, bad)
    life.tick()
    # As the admin app has it.
    route = Route("/api/v1/experiments/{name}/pairs", Pairs(life.config, life.store).page, methods=["GET"])
    app = Starlette(
        routes=[route], exception_handlers={HTTPException: lambda _, error: problem(error.status_code, error.detail)}
    )
    with serving(app) as url:

        def ask(path: str) -> tuple[int, Any]:
            try:
                with urllib.request.urlopen(f"{url}/api/v1/experiments/{path}", timeout=5) as response:
                    assert response.headers["cache-control"] == "no-store"
                    return response.status, json.loads(response.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)["detail"]

        yield ask


def test_the_worst_pairs_come_with_both_answers_and_scores_page_by_page(ask: Ask) -> None:
    status, first = ask("support/pairs?metric=agreement&worst=4&disagreeing=true")
    _, rest = ask(f"support/pairs?metric=agreement&worst=4&disagreeing=true&cursor={first['next_cursor']}")

    assert status == 200
    assert [pair["pair"] for pair in first["pairs"] + rest["pairs"]] == [f"live-{n}" for n in (0, 3, 6, 10, 13, 16)]
    assert (first["pairs"][0]["control"]["answer"], first["pairs"][0]["treatment"]["answer"]) == ("yes", "no")
    assert {score["metric"]: score["value"] for score in first["pairs"][0]["scores"]}["agreement"] == -1.0
    assert rest["next_cursor"] is None


def test_without_parameters_the_newest_twenty_come(ask: Ask) -> None:
    _, found = ask("support/pairs")

    assert len(found["pairs"]) == 20
    assert found["pairs"][0]["pair"] == "live-19"
    assert [
        p["pair"] for p in ask("support/pairs?best=1&metric=agreement&slice=x-language%3Dhi&epoch=1")[1]["pairs"]
    ] == ["live-19"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("suport/pairs", 404, "no experiment"),
        ("support/pairs?metrik=agreement", 422, "unknown: metrik"),
        ("support/pairs?worst=many", 422, "must be a number"),
        ("support/pairs?worst=501", 422, "from 1 to 500"),
        ("support/pairs?worst=1&best=1", 422, "exclude each other"),
        ("support/pairs?failed=perhaps", 422, "true or false"),
        ("support/pairs?epoch=0", 422, "epochs are counted from 1"),
        ("support/pairs?slice=hi", 422, "attribute=value"),
        ("support/pairs?cursor=7&metric=agreement", 422, "cursor"),
    ],
)
def test_what_cannot_be_asked_is_a_problem_with_its_reason(ask: Ask, path: str, status: int, said: str) -> None:
    found, detail = ask(path)

    assert found == status
    assert said in detail
