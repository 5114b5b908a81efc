"""The head of an answer on the short way: what a strict parser reads of it is what was meant."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.direct.heads import answer_head

names = st.from_regex(r"x-[a-z]{1,8}", fullmatch=True).map(str.encode)
values = st.from_regex(r"[!-~]{1,12}", fullmatch=True).map(str.encode)


class Parsed:
    """What httptools reads."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(data)
        self.status = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


@given(
    headers=st.lists(st.tuples(names, values), max_size=6),
    status=st.integers(200, 599).filter(lambda s: s not in {204, 304}),
)
def test_status_and_headers_are_read_as_they_were_given(headers: list[tuple[bytes, bytes]], status: int) -> None:
    head = answer_head(status, [*headers, (b"content-length", b"2")], [(b"x-ours", b"1")], keep_alive=True)

    parsed = Parsed(head.data + b"{}")

    assert parsed.status == status
    assert parsed.headers == [(b"x-ours", b"1"), *headers, (b"content-length", b"2")]


def test_a_body_of_unknown_length_goes_in_chunks() -> None:
    head = answer_head(200, [], [], keep_alive=True)

    assert head.length is None
    assert Parsed(head.data + b"3\r\nabc\r\n0\r\n\r\n").body == b"abc"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_ends_with_its_head(status: int) -> None:
    head = answer_head(status, [], [], keep_alive=True)

    assert Parsed(head.data).complete
    assert head.length == 0


def test_a_connection_that_will_be_closed_says_so() -> None:
    assert b"connection: close\r\n" in answer_head(200, [], [], keep_alive=False).data
    assert b"connection" not in answer_head(200, [], [], keep_alive=True).data
