"""Tokens that answers carry: good for one exchange, until they expire, under one key; nobody else makes one."""

import http.client
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests_config import CHAT, make_config
from tests_feedback import OLD
from tests_plane import Plane

from experiments.config.serving import FeedbackSettings
from router.feedback.tokens import FeedbackTokens, tokens_of
from router.processes.secrets import SecretError
from router.timing import uuid7

NOW = 1_800_000_000.0
HOUR = 3600.0
ONE_TRANSPORT = pytest.mark.parametrize("plane", ["http1"], indirect=True)


def tokens(key: str = "a-key-of-24-characters!!") -> FeedbackTokens:
    return FeedbackTokens(SecretStr(key), {"support": HOUR})


def issued(by: FeedbackTokens, exchange: str = OLD) -> str:
    token = by.issue("support", exchange, NOW)
    assert token is not None
    return token.decode()


@given(st.uuids().map(str), st.floats(0, HOUR - 1))
def test_a_token_is_good_for_its_exchange_until_it_expires(exchange: str, later_s: float) -> None:
    token = issued(tokens(), exchange)

    # By another process with the same key, too.
    assert tokens().fault(token, exchange, NOW + later_s) is None
    assert tokens().fault(token, exchange, NOW + HOUR + 1) == "the token has expired"


@given(st.data())
def test_no_token_is_good_with_a_single_character_changed(data: st.DataObject) -> None:
    token = issued(tokens())
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[at]))

    assert tokens().fault(token[:at] + other + token[at + 1 :], OLD, NOW) == "the token is not the one of this exchange"


@given(st.text())
def test_whatever_else_is_shown_is_refused(shown: str) -> None:
    assert tokens().fault(shown, OLD, NOW) is not None


def test_a_token_is_good_for_no_other_exchange_and_under_no_other_key() -> None:
    token = issued(tokens())

    assert tokens().fault(token, uuid7(), NOW) == "the token is not the one of this exchange"
    assert tokens("another-key-of-24-chars!").fault(token, OLD, NOW) == "the token is not the one of this exchange"


def test_a_token_stands_in_a_header_and_in_json_as_it_is() -> None:
    expiry, _, signature = issued(tokens()).partition(".")

    assert int(expiry) == NOW + HOUR
    assert len(signature) == 43
    assert set(signature) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_an_experiment_that_is_none_has_no_tokens() -> None:
    assert tokens().issue("", OLD, NOW) is None


def test_a_key_that_can_be_guessed_is_refused_and_never_shown() -> None:
    with pytest.raises(SecretError, match="must have at least 16 characters") as refused:
        tokens("short-key")

    assert "short-key" not in str(refused.value) + repr(tokens())


def test_a_token_lasts_as_long_as_feedback_counts(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_TEST_KEY", "a-key-of-24-characters!!")
    signed = {"feedback": FeedbackSettings(signing_key="env:TOUCHSTONE_TEST_KEY")}

    made = tokens_of(make_config(tmp_path, "http://a", "http://b", settings=signed, feedback_window_hours=2.0))

    assert made is not None
    assert issued(made).startswith(f"{NOW + 2 * HOUR:.0f}.")
    assert tokens_of(make_config(tmp_path, "http://a", "http://b", settings={})) is None


# --- on answers -------------------------------------------------------------------------------------------------------


def ask(running: Plane, path: str = CHAT) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=5)
    try:
        connection.request("POST", path, b'{"messages": [{"role": "user", "content": "hi"}]}', {"x-user-id": "u"})
        response = connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def signing(plane: Callable[..., Plane], **changes: Any) -> Plane:
    running = plane(split=0, settings={"default_backend": "original"}, **changes)
    running.app._proxy.services.tokens = tokens()
    return running


@ONE_TRANSPORT
@pytest.mark.parametrize(("control", "status"), [("", 200), ("http://127.0.0.1:9", 502)], ids=["good", "failed"])
def test_every_answer_of_an_experiment_carries_its_token(plane, control: str, status: int) -> None:
    answered, headers = ask(signing(plane, control_url=control))

    exchange, token = headers["x-touchstone-exchange"], headers["x-touchstone-feedback-token"]
    assert answered == status
    assert tokens().fault(token, exchange, time.time()) is None
    assert time.time() + HOUR - 60 < int(token.partition(".")[0]) <= time.time() + HOUR


@ONE_TRANSPORT
def test_an_answer_of_no_experiment_carries_none(plane) -> None:
    status, headers = ask(signing(plane), "/v1/elsewhere")

    assert "x-touchstone-exchange" in headers, status
    assert "x-touchstone-feedback-token" not in headers


@ONE_TRANSPORT
def test_without_a_key_no_answer_carries_one(plane) -> None:
    assert "x-touchstone-feedback-token" not in ask(plane(split=0))[1]
