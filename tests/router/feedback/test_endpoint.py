"""Feedback over HTTP: journaled before it is acknowledged, refused clearly, and taken also while the store is away."""

import http.client
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests_feedback import OLD, Endpoint, thumb

from experiments.assignment import unit_of
from experiments.config.serving import FeedbackSettings
from experiments.model import Feedback
from experiments.model import Route as ExperimentRoute
from router.processes.secrets import SecretError
from router.timing import uuid7


@pytest.mark.parametrize("value", [True, False, 1, 0, 0.25, -3.5, 1e9, -1e9])
def test_a_value_on_a_known_exchange_is_in_the_journal_when_it_is_acknowledged(endpoint, value: float) -> None:
    running, yesterday = endpoint(), time.time() - 86_400

    answer = running.post(thumb(value=value, source="agent", at=yesterday))

    assert answer == (200, {"accepted": True})
    assert running.recorded() == [
        Feedback(exchange=OLD, metric="thumbs_up", value=value, source="agent", at=yesterday)
    ]  # fmt: skip


def test_feedback_without_a_time_happens_now_and_comes_from_the_client(endpoint) -> None:
    running = endpoint()
    before = time.time()

    running.post(thumb(metric="complaint"))

    [found] = running.recorded()
    assert before <= found.at <= time.time()
    assert (found.source, found.metric) == ("client", "complaint")


def test_a_unit_may_stand_in_for_the_exchange_and_is_never_stored_as_it_came(endpoint) -> None:
    running = endpoint()

    answer = running.post({"unit": "user-1", "experiment": "support", "metric": "thumbs_up", "value": 1})

    [found] = running.recorded()
    assert answer == (200, {"accepted": True})
    assert (found.exchange, found.unit, found.experiment) == ("", unit_of("support", b"user-1").key, "support")


def test_a_unit_is_known_by_the_salt_of_its_attempt(endpoint) -> None:
    running = endpoint(routes=(ExperimentRoute(experiment="support", salt="support/2"),))

    running.post({"unit": "user-1", "experiment": "support", "metric": "thumbs_up", "value": 1})

    assert running.recorded()[0].unit == unit_of("support/2", b"user-1").key


def test_feedback_on_an_exchange_that_has_not_reached_the_store_yet_is_taken(endpoint) -> None:
    running = endpoint()
    young = uuid7()

    answer = running.post(thumb(exchange=young, metric="not-checked-yet"))

    assert answer == (202, {"accepted": True})
    assert running.recorded()[0].exchange == young


def test_feedback_is_taken_while_the_store_is_away(endpoint) -> None:
    def away(_: str) -> str | None:
        raise OSError("the database is being restarted")

    running = endpoint(away)

    assert running.post(thumb()) == (202, {"accepted": True})
    assert running.recorded()[0].exchange == OLD


def test_an_exchange_of_an_experiment_that_is_no_longer_configured_is_taken(endpoint) -> None:
    running = endpoint({OLD: "gone"}.get)

    assert running.post(thumb(metric="anything"))[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "field", "said"),
    [
        (thumb(exchange="nobody"), 404, "exchange", "no exchange has the id 'nobody'"),
        (thumb(exchange=str(uuid.UUID(OLD[:-1] + "8"))), 404, "exchange", "no exchange has the id"),
        (thumb(exchange=str(uuid.uuid4())), 404, "exchange", "no exchange has the id"),
        (thumb(exchange=""), 422, "exchange", "exactly one of `exchange` and `unit`"),
        (thumb(unit="user-1"), 422, "exchange", "exactly one of `exchange` and `unit`"),
        ({"metric": "thumbs_up", "value": 1}, 422, "exchange", "exactly one of `exchange` and `unit`"),
        ({"unit": "u", "experiment": "x", "metric": "m", "value": 1}, 404, "experiment", "no experiment is named 'x'"),
        ({"unit": "u", "metric": "m", "value": 1}, 404, "experiment", "no experiment is named ''"),
        (thumb(metric="applause"), 422, "metric", "in support; metrics that do: complaint, right, thumbs_up"),
        (thumb(metric="errors"), 422, "metric", "'errors' takes no feedback"),
        (thumb(metric="same"), 422, "metric", "'same' takes no feedback"),
        (thumb(value="great"), 422, "value", "the value must be a number, true or false"),
        (thumb(value=None), 422, "value", "Expected"),
        (thumb(value=[1]), 422, "value", "Expected"),
        (thumb(metric=3), 422, "metric", "Expected `str`"),
        (thumb(at="now"), 422, "at", "Expected"),
        (thumb(colour="blue"), 422, "body", "unknown field `colour`"),
        ({"exchange": OLD, "value": 1}, 422, "body", "missing required field `metric`"),
        (thumb(value=10**400), 422, "value", "out of range"),
        (thumb(value=1.001e9), 422, "value", "a number from -1e9 to 1e9"),
        (thumb(exchange=uuid7(), value=-1e30), 422, "value", "a number from -1e9 to 1e9"),
        (thumb(exchange=uuid7(), metric="m" * 201), 422, "metric", "longer than 200 characters"),
        (thumb(source="s" * 201), 422, "source", "longer than 200 characters"),
        (thumb(at=time.time() + 600), 422, "at", "more than 5 minutes in the future"),
        (thumb(at=time.time() - 401 * 86_400), 422, "at", "more than 400 days in the past"),
        (thumb(at=time.time() * 1_000), 422, "at", "looks like milliseconds"),
        (thumb(metric="right", value=1), 422, "value", "must be a text: the right answer"),
        (thumb(metric="right", value=" "), 422, "value", "must not be empty"),
        ([], 422, "body", "Expected `object`"),
        (b"[" * 10_000, 422, "body", "Expected `object`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_field_and_nothing_is_recorded(
    endpoint, body: Any, status: int, field: str, said: str
) -> None:
    running = endpoint()

    answered, problem = running.post(body)

    assert (answered, problem["status"]) == (status, status)
    assert said in problem["detail"]
    assert problem["errors"] == [{"loc": field, "msg": problem["detail"]}]
    assert running.recorded() == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"metric": "\xed\xa0\x80"}', b'{"metric": "\\ud800"}', b"NaN"])
def test_what_is_not_json_is_told_as_such(endpoint, body: bytes) -> None:
    running = endpoint()

    status, problem = running.post(body)

    assert status == 400
    assert problem["detail"].startswith("the body is not JSON: ")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_whether_or_not_it_was_announced(endpoint, chunked: bool) -> None:
    running = endpoint()

    status, problem = running.post(thumb(source="x" * 70_000), chunked=chunked)

    assert (status, problem["detail"]) == (413, "feedback is larger than 65536 bytes")


def test_a_body_in_pieces_is_read_whole(endpoint) -> None:
    assert endpoint().post(thumb(), chunked=True)[0] == 200


def test_feedback_that_cannot_be_recorded_is_not_acknowledged(endpoint) -> None:
    running = endpoint(limit_bytes=0)

    status, problem = running.post(thumb())

    assert (status, problem["title"]) == (503, "Service Unavailable")
    assert running.journal.shed == 1
    assert running.recorded() == []


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
keys = st.sampled_from(["exchange", "unit", "experiment", "metric", "value", "source", "at"])


def test_whatever_is_posted_is_answered_with_a_reason_and_recorded_if_and_only_if_it_is_accepted(endpoint) -> None:
    running = endpoint()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        body=st.dictionaries(keys, anything).map(lambda changes: thumb() | changes) | anything | st.binary(max_size=50)
    )
    def check(body: Any) -> None:
        before = len(running.recorded())

        status, answer = running.post(body)

        assert status in {200, 202, 400, 404, 422}
        assert (status < 300) == (answer == {"accepted": True}) == (len(running.recorded()) == before + 1)

    check()


def test_the_endpoint_of_a_proxy_knows_what_the_proxy_answered(plane) -> None:
    running = plane()
    host = running.url.removeprefix("http://")

    def post(method: str, body: str) -> tuple[int, str | None]:
        connection = http.client.HTTPConnection(host, timeout=5)
        connection.request(method, "/_touchstone/v1/feedback", body)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status, response.headers["content-type"]

    assert post("GET", "") == (405, "application/problem+json")
    assert post("POST", json.dumps(thumb())) == (404, "application/problem+json")
    running.known[OLD] = "support"
    assert post("POST", json.dumps(thumb())) == (200, "application/json")
    assert [record.exchange for record in running.records()] == [OLD]


# --- who may send it, and how much ------------------------------------------------------------------------------------


def send(running: Endpoint, body: Any, **headers: str) -> tuple[int, dict[str, str]]:
    """Post with headers of one's own; return status and headers."""
    connection = http.client.HTTPConnection(running.host, timeout=5)
    try:
        connection.request("POST", "/", json.dumps(body), headers)
        response = connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


@pytest.fixture(name="guarded")
def _guarded(endpoint, tmp_path: Path) -> Endpoint:
    (tmp_path / "token").write_text("right-token\n")
    return endpoint(settings={"feedback": FeedbackSettings(token=f"file:{tmp_path}/token")})


def test_the_right_token_is_let_in(guarded: Endpoint) -> None:
    assert send(guarded, thumb(), authorization="Bearer right-token")[0] == 200
    assert send(guarded, thumb(), authorization="bearer right-token")[0] == 200
    assert len(guarded.recorded()) == 2


@pytest.mark.parametrize(
    "shown", ["", "right-token", "Bearer", "Bearer ", "Bearer right-tokeN", "Bearer right-token2", "Basic right-token"]
)
def test_any_other_token_is_refused_and_nothing_is_recorded(guarded: Endpoint, shown: str) -> None:
    status, headers = send(guarded, thumb(), **({"authorization": shown} if shown else {}))

    assert (status, headers["content-type"]) == (401, "application/problem+json")
    assert headers["www-authenticate"].startswith("Bearer")
    assert guarded.recorded() == []


def test_a_token_that_cannot_be_had_ends_the_start_and_opens_nothing(endpoint) -> None:
    with pytest.raises(SecretError, match="env:TOUCHSTONE_NO_SUCH_TOKEN is not in the environment"):
        endpoint(settings={"feedback": FeedbackSettings(token="env:TOUCHSTONE_NO_SUCH_TOKEN")})


@pytest.mark.parametrize(
    ("same", "other"),
    [
        ({"exchange": OLD}, {"unit": "user-2", "experiment": "support"}),
        ({"unit": "user-1", "experiment": "support"}, {"unit": "user-2", "experiment": "support"}),
    ],
)
def test_too_much_of_one_exchange_or_unit_is_refused_and_others_are_not(
    endpoint, same: dict[str, str], other: dict[str, str]
) -> None:
    running = endpoint(settings={"feedback": FeedbackSettings(per_minute=3)})
    rating = {"metric": "thumbs_up", "value": True}

    answers = [send(running, rating | same) for _ in range(5)]

    assert [status for status, _ in answers] == [200, 200, 200, 429, 429]
    assert 0 < int(answers[-1][1]["retry-after"]) <= 60
    assert send(running, rating | other)[0] == 200
    assert len(running.recorded()) == 4


def test_another_source_is_no_way_round_the_limit_of_an_exchange(endpoint) -> None:
    running = endpoint(settings={"feedback": FeedbackSettings(per_minute=3)})

    answers = [send(running, thumb(source=f"s{number}"))[0] for number in range(5)]

    assert answers == [200, 200, 200, 429, 429]


# --- late labels ------------------------------------------------------------------------------------------------------


def test_a_right_answer_is_taken_for_a_metric_that_compares_with_one(endpoint) -> None:
    running = endpoint()

    answer = running.post(thumb(metric="right", value="Paris", source="desk"))

    [found] = running.recorded()
    assert answer == (200, {"accepted": True})
    assert (found.exchange, found.metric, found.value, found.source) == (OLD, "right", "Paris", "desk")
