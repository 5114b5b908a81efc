"""No log shows a secret, a body or a unit, whatever a caller hands over; ids of exchanges stay readable."""

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from router.telemetry.logs import LONGEST, REDACTED, is_private, redact

HUSH = "hush-Hush-0123456789"


def redacted(**event: Any) -> dict[str, Any]:
    return dict(redact(None, "info", event))


@pytest.mark.parametrize("key", [
    "authorization", "Authorization", "proxy-authorization", "api_key", "x-api-key", "apikey", "token", "access_token",
    "password", "client_secret", "secret", "set-cookie", "cookie", "credentials", "private_key", "body", "prompt",
    "messages", "answer", "request_text", "response_text", "unit", "unit_id", "user",
])  # fmt: skip
def test_what_stands_under_a_private_name_is_never_shown(key: str) -> None:
    assert is_private(key)
    for value in (HUSH, HUSH.encode(), [HUSH], {"inner": HUSH}, 12345):
        assert redacted(**{key: value}) == {key: REDACTED}
    assert redacted(headers={key: HUSH}) == {"headers": {key: REDACTED}}
    assert redacted(**{key: None}) == {key: None}


@pytest.mark.parametrize("key", ["exchange", "event", "backend", "input_tokens", "tokens_file", "units", "status"])
def test_what_operators_need_is_shown(key: str) -> None:
    assert redacted(**{key: "0197-abc"}) == {key: "0197-abc"}


@pytest.mark.parametrize(("text", "shown"), [
    (f"sent Authorization: Bearer {HUSH}, then", f"sent Authorization: Bearer {REDACTED}, then"),
    (f"Basic {HUSH}", f"Basic {REDACTED}"),
    (f"postgresql://router:{HUSH}@db.example/x", f"postgresql://{REDACTED}@db.example/x"),
    (f"https://{HUSH}@models.example/v1", f"https://{REDACTED}@models.example/v1"),
    (f"GET /v1?api_key={HUSH}&model=m", f"GET /v1?api_key={REDACTED}&model=m"),
    (f"password = {HUSH}", f"password = {REDACTED}"),
    (f'{{"token": "{HUSH}"}}', f'{{"token": "{REDACTED}"}}'),
    (f"'Authorization': '{HUSH}'", f"'Authorization': '{REDACTED}'"),
    (f"[(b'x-api-key', b'{HUSH}'), (b'accept', b'x')]", f"[(b'x-api-key', b'{REDACTED}'), (b'accept', b'x')]"),
    (f"access_token={HUSH}", f"access_token={REDACTED}"),
    (f"Set-Cookie: a={HUSH}; b={HUSH}", f"Set-Cookie: {REDACTED}"),
    ("the key sk-abcdefghijklmnop1234 is bad", f"the key {REDACTED} is bad"),
])  # fmt: skip
@pytest.mark.parametrize("wrap", [str, str.encode, ValueError, lambda text: [text], lambda text: {"why": text}])
def test_secrets_inside_of_texts_are_cut_out(text: str, shown: str, wrap: Any) -> None:
    [value] = redacted(reason=wrap(text)).values()

    found = value[0] if isinstance(value, list) else value["why"] if isinstance(value, dict) else value
    assert found == shown


@pytest.mark.parametrize("text", [
    "127 input tokens, 5 output tokens", "the token is unknown or has expired", "admin_tokens_unreadable",
    "cannot connect to http://127.0.0.1:9/v1: refused", "a basic, secret-free sentence; a password, perhaps",
])  # fmt: skip
def test_plain_sentences_stay_as_they_are(text: str) -> None:
    assert redacted(reason=text)["reason"] == text


def test_a_traceback_is_shown_whole_without_its_secrets() -> None:
    trace = "Traceback (most recent call last):\n" + "  line\n" * LONGEST + f"ValueError: Bearer {HUSH}"

    shown = redacted(exception=trace)["exception"]

    assert shown == trace.replace(HUSH, REDACTED)


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert redacted(reason="x" * 5000)["reason"] == "x" * LONGEST + "... (5000 characters)"


def test_figures_stay_figures() -> None:
    event = {"count": 3, "share": 0.5, "ok": True, "why": None}

    assert redacted(**event) == event


def test_what_is_nested_too_deeply_is_shown_as_text_without_its_secrets() -> None:
    deep: Any = {"token": HUSH}
    for _ in range(10):
        deep = {"inner": deep}

    assert HUSH not in json.dumps(redacted(deep=deep))


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), st.lists, max_leaves=8))
def test_whatever_is_logged_can_be_written_as_json(value: Any) -> None:
    json.dumps(redacted(value=value))


def test_an_exception_of_a_real_logger_shows_no_secret_and_no_local_variable() -> None:
    """In a process of its own: the settings are those of a whole process."""
    code = f"""
from router.telemetry.logs import configure_logs
import structlog
configure_logs()
def work(prompt):
    raise ValueError("refused: Authorization: Bearer {HUSH}")
try:
    work("tell me")
except ValueError:
    structlog.get_logger().exception("failed", api_key="{HUSH}", exchange="0197", url="http://u:{HUSH}@h/")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    line = json.loads(done.stderr)
    assert (line["event"], line["exchange"], line["level"]) == ("failed", "0197", "error")
    assert (line["api_key"], line["url"]) == (REDACTED, f"http://{REDACTED}@h/")
    assert "in work" in line["exception"]
    assert HUSH not in done.stderr.replace(code, "")
    assert "tell me" not in done.stderr


def test_the_redaction_is_the_last_step_before_the_rendering() -> None:
    """A processor that comes later could add what nobody looks at any more."""
    stream = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=[redact, structlog.processors.JSONRenderer()]
    )
    logger.warning("asked", user="u-1", level=logging.WARNING)

    assert json.loads(stream.getvalue()) == {"event": "asked", "level": logging.WARNING, "user": REDACTED}
