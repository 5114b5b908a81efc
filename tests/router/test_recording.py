"""What is noted of an exchange while it happens: bytes, texts up to the limit, times in their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.model import ErrorKind, Exchange, Role
from router.recording import Recording, shadow_fields

FIELDS = {"id": "x", "at": 1.0, "experiment": "support", "assigned": "control", "served": "control", "unit": "u"}


def recorded(chunks: list[bytes], capture_bytes: int = 100, **fields) -> Exchange:
    recording = Recording(FIELDS | fields, capture_bytes)
    for chunk in chunks:
        recording.chunk(chunk)
    return recording.finish()


@given(chunks=st.lists(st.binary(min_size=1, max_size=30), max_size=8), limit=st.integers(1, 100))
def test_every_byte_is_counted_and_the_first_ones_are_kept(chunks: list[bytes], limit: int) -> None:
    body = b"".join(chunks)

    exchange = recorded(chunks, limit)

    assert exchange.bytes_out == len(body)
    assert exchange.response_text == body[:limit].decode("utf-8", "replace")


@given(chunks=st.lists(st.integers(1, 9).map(lambda n: b"x" * n), max_size=9))
def test_each_piece_is_answered_with_the_length_so_far(chunks: list[bytes]) -> None:
    recording = Recording(dict(FIELDS), 0)

    lengths = [recording.chunk(chunk) for chunk in chunks]

    assert lengths == [len(b"".join(chunks[: n + 1])) for n in range(len(chunks))]


@pytest.mark.parametrize(
    ("chunks", "truncated"),
    [([], False), ([b"12345"], False), ([b"123", b"45"], False), ([b"123456"], True), ([b"123", b"456"], True)],
)
def test_a_text_that_is_cut_off_says_so(chunks: list[bytes], truncated: bool) -> None:
    exchange = recorded(chunks, 5)

    assert exchange.truncated is truncated
    assert exchange.response_text == b"".join(chunks)[:5].decode()


def test_a_cut_inside_a_letter_leaves_a_readable_text() -> None:
    assert recorded(["क".encode()], 2).response_text == "\N{REPLACEMENT CHARACTER}"


def test_the_first_byte_comes_before_the_last_one() -> None:
    exchange = recorded([b"a", b"b"])

    assert exchange.ttft_ms is not None
    assert exchange.latency_ms is not None
    assert 0 <= exchange.ttft_ms <= exchange.latency_ms


def test_an_answer_without_a_byte_has_no_times() -> None:
    exchange = recorded([])

    assert (exchange.ttft_ms, exchange.latency_ms, exchange.bytes_out) == (None, None, 0)


@pytest.mark.parametrize(
    ("content_type", "stream"),
    [
        (b"text/event-stream", True),
        (b"Text/Event-Stream; charset=utf-8", True),
        (b"application/x-ndjson", True),
        (b"application/json", False),
    ],
)
def test_a_stream_is_known_by_its_content_type(content_type: bytes, stream: bool) -> None:
    recording = Recording(dict(FIELDS), 10)

    recording.answered("original", "http://a", 200, ((b"server", b"x"), (b"content-type", content_type)))

    exchange = recording.finish()
    assert (exchange.backend, exchange.endpoint, exchange.status) == ("original", "http://a", 200)
    assert exchange.stream is stream


def test_it_is_done_when_it_has_become_an_exchange_and_not_before() -> None:
    recording = Recording(dict(FIELDS), 10)
    assert not recording.done

    exchange = recording.finish(ErrorKind.TIMEOUT)

    assert recording.done
    assert (exchange.error, recording.finish().error) == ("timeout", "")


def test_what_becomes_known_on_the_way_replaces_what_was_known_before() -> None:
    recording = Recording(dict(FIELDS), 10)

    recording.set(served="control", fallback="timeout", status=200)

    exchange = recording.finish()
    assert (exchange.assigned, exchange.served, exchange.fallback, exchange.status) == (
        "control",
        "control",
        "timeout",
        200,
    )


def test_a_shadow_is_its_live_exchange_as_the_other_variants() -> None:
    live = FIELDS | {"bucket": 7, "propensity": 0.9, "request_text": "hi"}

    shadow = shadow_fields(live, "treatment", "y")

    changed = {name for name in shadow if shadow[name] != live.get(name)}
    assert changed == {"id", "pair", "assigned", "served", "role"}
    assert (shadow["id"], shadow["pair"], shadow["served"], shadow["role"]) == ("y", "x", "treatment", Role.SHADOW)
    assert live["id"] == "x"


@given(chunks=st.lists(st.binary(min_size=1, max_size=5), max_size=6), limit=st.integers(0, 20))
def test_a_text_says_that_it_is_cut_off_if_and_only_if_it_is(chunks: list[bytes], limit: int) -> None:
    recording = Recording({"id": "x", "at": 1.0, "experiment": ""}, limit)
    for chunk in chunks:
        recording.chunk(chunk)
    assert recording.finish().truncated == (sum(map(len, chunks)) > limit)
