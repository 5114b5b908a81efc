"""Answers to clients of HTTP/1.0, who know no chunks, and to those who ask about the server itself."""

import pytest
from tests_door import answer, door, echo

OLD = b"GET /x HTTP/1.0\r\n\r\n"


def streaming(*pieces: bytes, status: int = 200, fails: bool = False):
    """An application that answers in pieces, without a length."""

    async def app(_scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not fails:
            await send({"type": "http.response.body", "body": b""})

    return app


def test_an_answer_with_a_length_is_as_ever_and_the_last_one() -> None:
    with door(echo) as running:
        assert running.ask(OLD) == b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /x "


def test_an_answer_without_a_length_comes_without_chunks_and_ends_with_its_connection() -> None:
    with door(streaming(b"one ", b"two")) as running:
        assert running.ask(OLD) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\none two"


async def in_one_piece(_scope, _receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"whole"})


def test_an_answer_in_one_piece_without_a_length_is_whole() -> None:
    with door(in_one_piece) as running:
        assert running.ask(OLD) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwhole"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_none(status: int) -> None:
    with door(streaming(status=status)) as running:
        assert running.ask(OLD).endswith(b"\r\nconnection: close\r\n\r\n")


def test_an_answer_to_head_has_no_body() -> None:
    with door(streaming(b"one ", b"two")) as running:
        raw = running.ask(OLD.replace(b"GET", b"HEAD"))

    assert raw == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"


def test_an_answer_that_breaks_off_does_not_look_like_a_whole_one() -> None:
    with door(streaming(b"one ", fails=True)) as running, pytest.raises(ConnectionResetError):
        running.ask(OLD)


def test_an_answer_that_breaks_off_with_an_error_does_not_look_like_a_whole_one() -> None:
    async def failing(_scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        raise RuntimeError

    with door(failing) as running, pytest.raises(ConnectionResetError):
        running.ask(OLD)


def test_an_application_that_fails_before_its_answer_is_an_error() -> None:
    async def failing(_scope, _receive, _send) -> None:
        raise RuntimeError

    with door(failing) as running:
        assert running.ask(OLD).startswith(b"HTTP/1.1 500 ")


def test_a_connection_is_not_kept_even_if_the_client_would_like_that() -> None:
    with door(echo) as running:
        raw = running.ask(OLD[:-2] + b"Connection: keep-alive\r\n\r\n" + OLD)

    assert raw.count(b"HTTP/1.1 200") == 1


def test_an_expectation_is_not_answered_with_an_interim_answer_that_it_does_not_know() -> None:
    with door(echo) as running:
        raw = running.ask(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na")

    assert raw.startswith(b"HTTP/1.1 200")


async def never(_scope, _receive, _send) -> None:
    raise AssertionError


def test_options_of_the_server_itself_are_answered_by_it() -> None:
    async def ask_twice(scope, receive, send) -> None:
        await (never if scope["path"] == "*" else echo)(scope, receive, send)

    with door(ask_twice) as running:
        raw = running.ask(b"OPTIONS * HTTP/1.1\r\nHost: client\r\n\r\nGET / HTTP/1.0\r\n\r\n")

    assert raw.startswith(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_options_of_a_path_reach_the_application() -> None:
    async def app(_scope, _receive, send) -> None:
        await answer(send, b"asked", (b"allow", b"GET"))

    with door(app) as running:
        assert running.ask(b"OPTIONS /x HTTP/1.0\r\n\r\n").endswith(b"asked")
