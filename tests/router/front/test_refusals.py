"""What a refused client is told."""

import json

import pytest

from router.front.refusals import RefusedError, farewell, malformed, too_many_bytes, too_many_headers


@pytest.mark.parametrize(
    ("refused", "status", "reason"),
    [
        (malformed("unclear"), 400, "malformed"),
        (too_many_bytes(), 431, "header_bytes"),
        (too_many_headers(7), 431, "headers"),
        (RefusedError(408, "body_timeout", "too slow"), 408, "body_timeout"),
    ],
)
def test_a_refusal_is_a_whole_answer_of_problem_details_and_the_last(
    refused: RefusedError, status: int, reason: str
) -> None:
    head, _, body = farewell(refused).partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")

    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert headers == [
        b"content-type: application/problem+json",
        b"connection: close",
        b"content-length: %d" % len(body),
    ]
    assert json.loads(body)["status"] == status
    assert json.loads(body)["detail"] == refused.detail == str(refused)
    assert refused.reason == reason


def test_who_is_refused_for_lack_of_room_is_told_when_to_come_again() -> None:
    assert b"\r\nretry-after: 1\r\n" in farewell(RefusedError(503, "connections", "full"))
    assert b"retry-after" not in farewell(malformed("unclear"))


def test_the_limit_is_named() -> None:
    assert "more than 7 headers" in too_many_headers(7).detail
