"""Errors on the wire: RFC 9457 on our own API, and a status for each way in which a backend fails."""

import json
from http import HTTPStatus

import pytest

from experiments.model import BACKEND_FAULTS, ErrorKind
from router.errors import GATEWAY_STATUS, UpstreamError, problem


def test_a_problem_says_its_status_twice_and_what_is_wrong_once() -> None:
    response = problem(404, "no experiment is named 'x'")

    assert (response.status_code, response.media_type) == (404, "application/problem+json")
    assert json.loads(response.body) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no experiment is named 'x'",
    }


def test_a_problem_lists_the_fields_that_are_wrong() -> None:
    wrong = [{"loc": "metric", "msg": "is missing"}]

    assert json.loads(problem(422, "one field is wrong", wrong).body)["errors"] == wrong


def test_a_problem_speaks_every_language() -> None:
    assert json.loads(problem(404, "कोई प्रयोग नहीं").body)["detail"] == "कोई प्रयोग नहीं"


@pytest.mark.parametrize("status", [400, 404, 405, 413, 422, 503])
def test_every_status_that_we_answer_with_has_its_title(status: int) -> None:
    assert json.loads(problem(status, "").body)["title"] == HTTPStatus(status).phrase


def test_only_a_timeout_is_a_504() -> None:
    statuses = {kind: GATEWAY_STATUS.get(kind, HTTPStatus.BAD_GATEWAY) for kind in BACKEND_FAULTS}

    assert {kind for kind, status in statuses.items() if status == 504} == {ErrorKind.TIMEOUT}


def test_an_upstream_error_keeps_its_kind_and_its_message() -> None:
    error = UpstreamError(ErrorKind.RESET, "the connection was closed")

    assert (error.kind, str(error)) == (ErrorKind.RESET, "the connection was closed")
