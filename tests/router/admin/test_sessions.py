"""A browser's session: it lasts as long as its token holds, and no longer than half a day."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.admin import sessions
from router.admin.sessions import COOKIE, Sessions
from router.admin.tokens import Role, TokenFile, create_token


@pytest.fixture(name="token")
def _token(tmp_path: Path) -> str:
    return create_token(tmp_path / "tokens", "asha", Role.OPERATE)


@pytest.fixture(name="known")
def _known(tmp_path: Path, token: str) -> Sessions:
    return Sessions(TokenFile(tmp_path / "tokens"))


def test_a_good_token_begins_a_session_of_its_owner(known: Sessions, token: str) -> None:
    session = known.begin(token)

    grant = known.grant(f"theme=dark; {COOKIE}={session}")
    assert session is not None
    assert session != token
    assert grant is not None
    assert (grant.name, grant.role) == ("asha", Role.OPERATE)


@pytest.mark.parametrize("cookies", ["", COOKIE, f"{COOKIE}=", f"{COOKIE}=guess", "=;=;", f'{COOKIE}="\\', "\x00"])
def test_no_other_cookie_is_a_session(known: Sessions, token: str, cookies: str) -> None:
    known.begin(token)

    assert known.grant(cookies) is None


def test_a_bad_token_begins_none(known: Sessions) -> None:
    assert known.begin("guess") is None


def test_a_session_ends_when_it_is_left_and_the_others_go_on(known: Sessions, token: str) -> None:
    left, kept = known.begin(token), known.begin(token)

    known.end(f"{COOKIE}={left}")

    assert known.grant(f"{COOKIE}={left}") is None
    assert known.grant(f"{COOKIE}={kept}") is not None


def test_a_token_that_is_taken_back_ends_its_sessions_at_once(known: Sessions, token: str, tmp_path: Path) -> None:
    session = known.begin(token)

    (tmp_path / "tokens").write_text("")

    assert known.grant(f"{COOKIE}={session}") is None


def test_a_session_is_over_after_half_a_day(known: Sessions, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = known.begin(token)

    class Later(datetime):
        @classmethod
        def now(cls, *_):
            return datetime.now(UTC) + timedelta(hours=12, seconds=1)

    monkeypatch.setattr(sessions, "datetime", Later)
    assert known.grant(f"{COOKIE}={session}") is None


def test_sessions_are_bounded_and_the_oldest_go_first(
    known: Sessions, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MOST", 3)
    begun = [known.begin(token) for _ in range(5)]

    assert [known.grant(f"{COOKIE}={session}") is not None for session in begun] == [False, False, True, True, True]
