"""A receiver can tell that a notification is ours, unchanged and new."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from experiments.telling.escalation import Notification, Severity
from router.notify.webhook import REPLAY_WINDOW_S, body_of, sign, verify

NOW = 1_700_000_000.0
SECRET = "a shared secret"
BODY = b'{"id":"one"}'


def test_the_body_is_json_with_all_that_a_receiver_needs() -> None:
    note = Notification(
        id="critical:k:1.0:2", severity=Severity.CRITICAL, due_at=NOW, title="t", text="हिन्दी", keys=("k",), repeat=2
    )

    assert json.loads(body_of(note)) == {
        "version": 1,
        "id": "critical:k:1.0:2",
        "severity": "critical",
        "due_at": "2023-11-14T22:13:20Z",
        "title": "t",
        "text": "हिन्दी",
        "keys": ["k"],
        "repeat": 2,
    }


@given(st.text(max_size=40), st.binary(max_size=200), st.floats(0, 9e11))
def test_what_was_signed_is_verified_at_that_time(secret: str, body: bytes, now: float) -> None:
    assume(secret.isascii())

    assert verify(secret, sign(secret, body, now), body, now)


@pytest.mark.parametrize(
    ("later_s", "good"),
    [(0, True), (REPLAY_WINDOW_S, True), (REPLAY_WINDOW_S + 1, False), (-REPLAY_WINDOW_S, True), (-301, False)],
)
def test_it_is_good_within_the_replay_window_alone(later_s: float, *, good: bool) -> None:
    assert verify(SECRET, sign(SECRET, BODY, NOW), BODY, NOW + later_s) is good


@given(st.binary(max_size=40), st.text(max_size=10), st.integers(0, 10**10))
def test_another_body_secret_or_time_is_refused(body: bytes, secret: str, seconds: int) -> None:
    assume(body != BODY and secret != SECRET and seconds != int(NOW) and secret.isascii())
    signature = sign(SECRET, BODY, NOW)
    moved = signature.replace(f"t={int(NOW)}", f"t={seconds}")

    assert not verify(SECRET, signature, body, NOW)
    assert not verify(secret, signature, BODY, NOW)
    assert not verify(SECRET, moved, BODY, float(seconds))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1700000000",
        "v1=" + "0" * 64,
        "t=1700000000,v1=",
        "t=-1,v1=" + "0" * 64,
        "t=١٧٠,v1=" + "0" * 64,
        "x" * 10_000,
    ],
)
def test_a_header_of_another_form_is_refused(header: str) -> None:
    assert not verify(SECRET, header, BODY, NOW)


def test_a_good_signature_with_something_around_it_is_refused() -> None:
    good = sign(SECRET, BODY, NOW)

    assert not any(verify(SECRET, bad, BODY, NOW) for bad in (f" {good}", f"{good}\n", f"{good},v2=1", good.upper()))
