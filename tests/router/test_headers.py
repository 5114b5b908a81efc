"""Headers on their way through: what belongs to one hop stays there, what belongs to the message arrives unchanged."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.headers import HOP_BY_HOP, content_length, request_headers, response_headers

SECOND_HOP = [
    (b"connection", b"keep-alive, X-Of-This-Hop"),
    (b"x-of-this-hop", b"1"),
    (b"keep-alive", b"timeout=5"),
    (b"te", b"trailers"),
    (b"transfer-encoding", b"chunked"),
    (b"upgrade", b"h2c"),
    (b"proxy-authorization", b"Basic xyz"),
]
names = st.text(string.ascii_lowercase + "-", min_size=1, max_size=12).map(str.encode)
values = st.binary(max_size=12).filter(lambda value: not set(value) & set(b"\r\n\0"))
headers = st.lists(st.tuples(names, values), max_size=8)


def test_what_is_for_this_hop_alone_never_reaches_the_backend() -> None:
    kept = request_headers([*SECOND_HOP, (b"authorization", b"Bearer key")], plain_text=False)

    assert dict(kept) == {b"authorization": b"Bearer key"}


def test_what_is_for_this_hop_alone_never_reaches_the_client() -> None:
    kept = response_headers([*SECOND_HOP, (b"content-type", b"text/plain")], "the-id")

    assert kept == [(b"content-type", b"text/plain"), (b"x-touchstone-exchange", b"the-id")]


def test_several_connection_headers_and_their_spaces_and_capitals_are_understood() -> None:
    sent = [(b"connection", b" X-One ,close"), (b"connection", b"x-TWO"), (b"x-one", b"1"), (b"x-two", b"2")]

    assert not request_headers(sent, plain_text=False)


def test_length_and_host_are_those_of_the_new_request() -> None:
    sent = [(b"host", b"router"), (b"content-length", b"7"), (b"expect", b"100-continue"), (b"accept", b"*/*")]

    assert dict(request_headers(sent, plain_text=False)) == {b"accept": b"*/*"}


def test_the_length_of_an_answer_is_passed_on() -> None:
    assert (b"content-length", b"7") in response_headers([(b"content-length", b"7")], "the-id")


def test_a_header_that_comes_twice_stays_twice() -> None:
    cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]

    assert request_headers(cookies, plain_text=False) == cookies
    assert response_headers(cookies, "the-id")[:2] == cookies


@pytest.mark.parametrize("name", [b"x-touchstone-exchange", b"x-touchstone-force"])
def test_neither_side_can_speak_in_our_name(name: bytes) -> None:
    assert not request_headers([(name, b"forged")], plain_text=False)
    assert response_headers([(name, b"forged")], "the-id") == [(b"x-touchstone-exchange", b"the-id")]


def test_an_answer_that_is_to_be_compared_is_asked_for_as_plain_text() -> None:
    sent = [(b"accept-encoding", b"gzip"), (b"accept-encoding", b"br")]

    assert request_headers(sent, plain_text=True) == [(b"accept-encoding", b"identity")]
    assert request_headers(sent, plain_text=False) == sent
    assert not request_headers([], plain_text=True)


@given(sent=headers)
def test_everything_else_arrives_in_order_and_byte_by_byte(sent: list[tuple[bytes, bytes]]) -> None:
    replaced = {b"host", b"content-length", b"expect", b"connection"}
    plain = [(name, value) for name, value in sent if name not in HOP_BY_HOP | replaced]

    to_backend = request_headers(plain, plain_text=False)
    to_client = response_headers(plain, "the-id")

    assert to_backend == plain
    assert to_client == [*plain, (b"x-touchstone-exchange", b"the-id")]


@given(sent=headers, hop=names)
def test_whatever_connection_names_is_dropped_on_both_ways(sent: list[tuple[bytes, bytes]], hop: bytes) -> None:
    declared = [*sent, (b"connection", hop), (hop, b"for this hop")]

    assert hop not in dict(request_headers(declared, plain_text=False))
    assert hop not in dict(response_headers(declared, "the-id"))


@pytest.mark.parametrize(
    ("value", "length"),
    [(b"0", 0), (b"12", 12), (b"", None), (b"-1", None), (b"+1", None), (b"1.5", None), (b"x", None)],
)
def test_only_digits_are_a_length(value: bytes, length: int | None) -> None:
    assert content_length([(b"content-type", b"7"), (b"content-length", value)]) == length


def test_no_length_is_none() -> None:
    assert content_length([]) is None
