"""Who may give feedback on what: with `require_signed`, whoever has had the answer, and nobody else."""

import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests_feedback import OLD, Endpoint, thumb

from experiments.config.serving import FeedbackSettings
from router.feedback.tokens import FeedbackTokens
from router.processes.secrets import SecretError

KEY = "a-key-of-24-characters!!"


def token(exchange: str = OLD, window_s: float = 3600.0, key: str = KEY) -> str:
    made = FeedbackTokens(SecretStr(key), {"support": window_s}).issue("support", exchange, time.time())
    return (made or b"").decode()


def settings_with(tmp_path: Path, **others: Any) -> dict[str, Any]:
    (tmp_path / "key").write_text(KEY + "\n")
    return {"feedback": FeedbackSettings(signing_key=f"file:{tmp_path}/key", **others)}


@pytest.fixture(name="signed")
def _signed(endpoint, tmp_path: Path) -> Endpoint:
    running: Endpoint = endpoint(settings=settings_with(tmp_path, require_signed=True, per_minute=2))
    return running


def test_who_shows_the_token_of_the_answer_is_let_in(signed: Endpoint) -> None:
    assert signed.post(thumb(token=token())) == (200, {"accepted": True})
    [found] = signed.recorded()
    assert (found.exchange, found.value) == (OLD, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (thumb(), "needs the token that came with the answer"),
        (thumb(token=""), "needs the token that came with the answer"),
        (thumb(token="nonsense"), "not the one of this exchange"),
        (thumb(token="9999999999."), "not the one of this exchange"),
        (thumb(token=token("01890a5d-ac96-774b-bcce-b302099a8058")), "not the one of this exchange"),
        (thumb(token=token(key="another-key-of-24-chars!")), "not the one of this exchange"),
        (thumb(token=token(window_s=-5.0)), "has expired"),
        ({"unit": "u", "experiment": "support", "metric": "thumbs_up", "value": 1}, "must be on an exchange"),
        (
            {"unit": "u", "experiment": "support", "metric": "thumbs_up", "value": 1, "token": token()},
            "must be on an exchange",
        ),
    ],
)
def test_any_other_is_refused_and_nothing_is_recorded(signed: Endpoint, body: dict[str, Any], said: str) -> None:
    status, problem = signed.post(body)

    assert (status, problem["status"]) == (401, 401)
    assert said in problem["detail"]
    assert signed.recorded() == []


def test_wrong_tokens_use_up_nobodys_share_of_the_rate(signed: Endpoint) -> None:
    refused = [signed.post(thumb(token="nonsense"))[0] for _ in range(5)]

    assert refused == [401] * 5
    assert signed.post(thumb(token=token()))[0] == 200


def test_where_no_token_is_required_feedback_is_taken_without_and_an_old_one_does_no_harm(endpoint, tmp_path) -> None:
    running = endpoint(settings=settings_with(tmp_path))

    assert running.post(thumb())[0] == 200
    assert running.post(thumb(token="of-a-key-that-was-replaced"))[0] == 200


def test_tokens_that_are_required_and_cannot_be_checked_let_nobody_in(endpoint) -> None:
    running = endpoint(settings={"feedback": FeedbackSettings(require_signed=True)})

    assert running.post(thumb(token=token()))[0] == 401


def test_a_key_that_cannot_be_had_ends_the_start(endpoint) -> None:
    with pytest.raises(SecretError, match="env:TOUCHSTONE_NO_SUCH_KEY is not in the environment"):
        endpoint(settings={"feedback": FeedbackSettings(signing_key="env:TOUCHSTONE_NO_SUCH_KEY")})
