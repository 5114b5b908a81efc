"""Many feedbacks in one body: each is answered on its own, and what is answered as taken is in the journal."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests_feedback import OLD, Endpoint, thumb

from experiments.config.serving import FeedbackSettings
from router.timing import uuid7

NDJSON = "application/x-ndjson; charset=utf-8"


def post(running: Endpoint, items: list[Any]) -> tuple[int, dict[str, Any]]:
    return running.post(items, path="/batch")


def post_lines(running: Endpoint, *lines: bytes) -> tuple[int, dict[str, Any]]:
    return running.post(b"\n".join(lines), path="/batch", **{"content-type": NDJSON})


def line(**changes: Any) -> bytes:
    return json.dumps(thumb(**changes)).encode()


def test_a_batch_that_is_good_is_recorded_in_its_order(endpoint) -> None:
    running = endpoint()

    answer = post(running, [thumb(source=f"s{number}") for number in range(200)])

    assert answer == (200, {"accepted": 200, "refused": []})
    assert [found.source for found in running.recorded()] == [f"s{number}" for number in range(200)]


def test_lines_are_taken_as_an_array_is(endpoint) -> None:
    running = endpoint()

    answer = post_lines(running, line(), b"", b"  ", line(value=False), b"")

    assert answer == (200, {"accepted": 2, "refused": []})
    assert [found.value for found in running.recorded()] == [True, False]


def test_each_item_that_is_wrong_is_told_by_its_number_and_the_others_are_taken(endpoint) -> None:
    running = endpoint()

    status, answer = post(
        running,
        [
            thumb(),
            thumb(metric="applause"),
            "thumbs up",
            {"unit": "u", "experiment": "support", "metric": "thumbs_up", "value": 1},
            thumb(exchange="nobody"),
            thumb(exchange=uuid7()),
            thumb(at=-1.0),
        ],
    )

    assert status == 207
    assert answer["accepted"] == len(running.recorded()) == 3
    assert [(told["index"], told["status"]) for told in answer["refused"]] == [(1, 422), (2, 422), (4, 404), (6, 422)]
    assert answer["refused"][0]["errors"] == [{"loc": "metric", "msg": answer["refused"][0]["detail"]}]


def test_a_line_that_is_no_json_spoils_no_other(endpoint) -> None:
    running = endpoint()

    status, answer = post_lines(running, line(), b"{", b"\xff", b"[" * 5_000, line())

    assert (status, answer["accepted"]) == (207, 2)
    assert [(told["index"], told["status"]) for told in answer["refused"]] == [(1, 400), (2, 400), (3, 422)]


def test_nothing_is_a_batch_too(endpoint) -> None:
    assert post(endpoint(), []) == (200, {"accepted": 0, "refused": []})
    assert post_lines(endpoint()) == (200, {"accepted": 0, "refused": []})


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{}", 422, "a batch is a JSON array, or NDJSON by its content type"),
        (b"[{]", 400, "the body is not JSON"),
        (b"", 400, "the body is not JSON"),
        (b"[" * 100_000, 400, "the body is not JSON"),
        (json.dumps([thumb()] * 1_001).encode(), 413, "a batch has at most 1000 items"),
        (b"[" + b" " * 2**20 + b"]", 413, "feedback is larger than 1048576 bytes"),
    ],
    ids=["an object", "damaged", "empty", "deep", "too many", "too large"],
)
def test_what_is_no_batch_is_refused_as_a_whole(endpoint, body: bytes, status: int, said: str) -> None:
    running = endpoint()

    answered, problem = running.post(body, path="/batch")

    assert (answered, problem["status"]) == (status, status)
    assert said in problem["detail"]
    assert running.recorded() == []


def test_the_rate_is_that_of_each_exchange(endpoint) -> None:
    running = endpoint(settings={"feedback": FeedbackSettings(per_minute=3)})

    status, answer = post(running, [thumb()] * 5 + [thumb(exchange=uuid7())])

    assert (status, answer["accepted"]) == (207, 4)
    assert [(told["index"], told["status"]) for told in answer["refused"]] == [(3, 429), (4, 429)]
    assert 0 < answer["refused"][0]["retry_after_s"] <= 60


def test_a_batch_needs_the_bearer_token_once_for_all(endpoint, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("right-token")
    running = endpoint(settings={"feedback": FeedbackSettings(token=f"file:{tmp_path}/token")})

    assert post(running, [thumb()])[0] == 401
    assert running.recorded() == []
    assert running.post([thumb()], path="/batch", authorization="Bearer right-token")[0] == 200


def test_a_batch_is_taken_while_the_store_is_away_which_is_asked_no_thousand_times(endpoint) -> None:
    asked = []

    def away(exchange: str) -> str | None:
        asked.append(exchange)
        raise OSError("the database is being restarted")

    running = endpoint(away)

    assert post(running, [thumb(exchange=uuid7()) for _ in range(100)])[0] == 200
    assert len(asked) == 1
    assert len(running.recorded()) == 100


def test_the_store_is_asked_once_for_each_exchange(endpoint) -> None:
    asked = []

    def find(exchange: str) -> str | None:
        asked.append(exchange)
        return "support"

    post(endpoint(find), [thumb(value=value) for value in (True, False, True)])

    assert asked == [OLD]


def test_items_that_cannot_be_recorded_are_not_acknowledged(endpoint) -> None:
    running = endpoint(limit_bytes=0)

    status, answer = post(running, [thumb(), thumb(metric="applause")])

    assert (status, answer["accepted"]) == (207, 0)
    assert [(told["index"], told["status"]) for told in answer["refused"]] == [(0, 503), (1, 422)]
