"""The response cache repeats what is equal, to whom it may, for as long as it may, in bounded memory."""

from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_config import make_config

from experiments.config.serving import Cache
from router.cache import CachedAnswer, ResponseCache, build_caches, cache_key
from router.fakes.backend import Behaviour
from router.front.bodies import StreamedBody
from router.plan import Request

JSON = ((b"content-type", b"application/json"),)


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def request(body: bytes = b"{}", target: str = "/v1/chat/completions", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request("POST", target.partition("?")[0], target, dict(raw), raw, body)


def answer(body: bytes = b"hello") -> CachedAnswer:
    return CachedAnswer(200, JSON, body, stream=False)


def test_the_same_request_gets_the_same_answer_until_its_time_is_over() -> None:
    clock = Clock()
    cache = ResponseCache(Cache(ttl_s=10, max_bytes=2**20), clock)
    key = cache_key("control", 1, request())
    assert key is not None
    assert cache.get(key, "control") is None
    cache.put(key, answer())

    clock.now = 9.9
    assert cache.get(key, "control") is not None
    clock.now = 10.0
    assert cache.get(key, "control") is None


def test_hits_misses_and_bytes_are_counted() -> None:
    cache = ResponseCache(Cache(max_bytes=2**20))
    cache.get(b"a", "control")
    cache.put(b"a", answer(b"x" * 1000))
    cache.get(b"a", "control")
    cache.get(b"a", "control")

    cache.get(b"a", "treatment")
    assert (cache.hits, cache.misses) == ({"control": 2, "treatment": 1}, {"control": 1})
    assert cache.bytes == answer(b"x" * 1000).size_bytes


@pytest.mark.parametrize(
    "other",
    [
        request(b'{"a": 1}'),
        request(target="/v1/completions"),
        request(target="/v1/chat/completions?beta=1"),
        request(authorization="Bearer b"),
        request(cookie="session=2"),
        request(x_api_key="k"),
        request(accept="text/event-stream"),
        request(content_type="text/plain"),
    ],
)
def test_whatever_may_change_the_answer_or_its_reader_makes_another_key(other: Request) -> None:
    assert cache_key("control", 1, request()) != cache_key("control", 1, other)


def test_a_variant_and_an_epoch_have_answers_of_their_own() -> None:
    assert len({cache_key(v, e, request()) for v in ("control", "treatment") for e in (1, 2)}) == 4


def test_headers_that_change_nothing_do_not_matter() -> None:
    traced = request(traceparent="00-1-2-01", user_agent="curl", x_request_id="7")

    assert cache_key("control", 1, request()) == cache_key("control", 1, traced)


@given(parts=st.lists(st.text("ab:1", max_size=4), min_size=2, max_size=2, unique=True))
def test_no_two_requests_read_alike_by_moving_bytes_between_their_parts(parts: list[str]) -> None:
    first, second = parts

    assert cache_key("c", 1, request(first.encode(), second)) != cache_key("c", 1, request(second.encode(), first))


@pytest.mark.parametrize(
    "headers", [{"cache_control": "no-cache"}, {"cache_control": "max-age=0, No-Store"}, {"range": "bytes=0-1"}]
)
def test_a_client_that_wants_a_fresh_or_partial_answer_has_no_key(headers: dict[str, str]) -> None:
    assert cache_key("control", 1, request(**headers)) is None


def test_a_streamed_body_has_no_key() -> None:
    async def nothing() -> dict:
        return {}

    streamed = request()
    streamed.body = StreamedBody(b"", nothing, 10, None)

    assert cache_key("control", 1, streamed) is None


def test_the_least_recently_used_answers_make_room() -> None:
    size = answer(b"x" * 1000).size_bytes
    cache = ResponseCache(Cache(max_bytes=size * 10))
    for number in range(10):
        cache.put(b"%d" % number, answer(b"x" * 1000))
    cache.get(b"0", "control")

    cache.put(b"new", answer(b"x" * 1000))

    assert cache.get(b"0", "control") is not None
    assert cache.get(b"1", "control") is None
    assert cache.bytes == size * 10


@given(sizes=st.lists(st.integers(0, 3000), max_size=60))
def test_the_cache_is_never_larger_than_its_limit(sizes: list[int]) -> None:
    cache = ResponseCache(Cache(max_bytes=16_384))
    for number, size in enumerate(sizes):
        kept = cache.put(b"%d" % (number % 7), answer(bytes(size)))
        assert kept == (answer(bytes(size)).size_bytes <= 16_384 // 8)
        assert cache.bytes <= 16_384


def test_an_answer_is_collected_piece_by_piece_and_kept_when_it_is_complete() -> None:
    cache = ResponseCache(Cache(max_bytes=2**20))
    filler = cache.fill(b"k", 200, JSON, stream=True)
    assert filler is not None
    filler.add(b"data: 1\n\n")
    filler.add(b"data: [DONE]\n\n")
    assert cache.get(b"k", "control") is None

    assert filler.complete()

    kept = cache.get(b"k", "control")
    assert kept is not None
    assert (kept.status, kept.body, kept.stream) == (200, b"data: 1\n\ndata: [DONE]\n\n", True)


def test_too_large_an_answer_is_let_go_while_it_comes() -> None:
    cache = ResponseCache(Cache(max_bytes=80_000))
    filler = cache.fill(b"k", 200, JSON, stream=True)
    assert filler is not None
    for _ in range(100):
        filler.add(b"x" * 1000)

    assert not filler.complete()
    assert (cache.get(b"k", "control"), cache.bytes) == (None, 0)


@pytest.mark.parametrize("status", [201, 204, 206, 301, 400, 429, 500])
def test_only_a_200_is_kept(status: int) -> None:
    assert ResponseCache(Cache()).fill(b"k", status, JSON, stream=False) is None


@pytest.mark.parametrize(
    "header",
    [
        (b"Set-Cookie", b"a=b"),
        (b"Cache-Control", b"max-age=60, private"),
        (b"Vary", b"accept, user-agent"),
        (b"vary", b"*"),
    ],
)
def test_an_answer_that_is_for_one_reader_is_not_kept(header: tuple[bytes, bytes]) -> None:
    assert ResponseCache(Cache()).fill(b"k", 200, [*JSON, header], stream=False) is None


def test_an_answer_that_varies_by_what_is_in_the_key_is_kept() -> None:
    headers = [*JSON, (b"vary", b"Accept, Origin"), (b"cache-control", b"max-age=60")]

    assert ResponseCache(Cache()).fill(b"k", 200, headers, stream=False) is not None


def test_a_repeated_answer_tells_its_age_once() -> None:
    kept = CachedAnswer(200, (*JSON, (b"age", b"1000")), b"", stream=False, kept_at=0.0)

    ages = [int(value) for name, value in kept.headers_now() if name == b"age"]

    assert len(ages) == 1
    assert ages != [1000]


def test_only_experiments_that_ask_for_one_have_a_cache(tmp_path: Path) -> None:
    without = make_config(tmp_path, "http://a", "http://b")
    with_one = make_config(tmp_path, "http://a", "http://b", cache=Cache(max_bytes=8000))

    assert build_caches(without) == {}
    assert build_caches(with_one)["support"].largest_bytes == 1000


# --- in the proxy -----------------------------------------------------------------------------------------------------

CHAT = "/v1/chat/completions"


async def ask(url: str, *, stream: bool = False, temperature: float = 0.0) -> tuple[dict[str, str], bytes]:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": temperature}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + CHAT, json=body | {"stream": stream}, headers={"x-user-id": "u"}) as response,
    ):
        assert response.status == 200
        return {name.lower(): value for name, value in response.headers.items()}, await response.read()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_repeated_request_is_answered_alike_without_the_backend(plane, stream: bool) -> None:
    running = plane(split=0, cache=Cache())

    (first_headers, first), (headers, second) = [await ask(running.url, stream=stream) for _ in range(2)]

    asked, repeated = running.exchanges(2)
    assert first == second
    assert running.control.counts[CHAT] == 1
    assert (headers["content-type"], headers["age"]) == (first_headers["content-type"], "0")
    assert headers["x-touchstone-exchange"] != first_headers["x-touchstone-exchange"]
    assert (asked.cached, repeated.cached) == (False, True)
    assert (repeated.latency_ms, repeated.ttft_ms) == (None, None), "it says nothing of how fast the backend is"
    assert (repeated.response_text, repeated.stream, repeated.status) == (asked.response_text, stream, 200)


async def test_each_variant_has_its_own_answers_and_mirrored_requests_are_always_sent(plane) -> None:
    running = plane(split=0, mirror=100, cache=Cache())

    for _ in range(3):
        await ask(running.url)

    live, shadow = running.exchanges(3), running.exchanges(3, "shadow")
    assert [e.cached for e in live] == [False, True, True]
    assert [e.cached for e in shadow] == [False] * 3
    assert (running.control.counts[CHAT], running.treatment.counts[CHAT]) == (1, 3)


async def test_what_is_not_deterministic_is_asked_anew(plane) -> None:
    running = plane(split=0, cache=Cache())

    for _ in range(2):
        await ask(running.url, temperature=0.7)

    assert running.control.counts[CHAT] == 2


async def test_an_answer_in_place_of_the_treatment_is_not_kept_as_its_own(plane) -> None:
    running = plane(split=100, cache=Cache())
    running.treatment.behaviour = Behaviour(status=503)
    await ask(running.url)
    running.treatment.behaviour = Behaviour()

    await ask(running.url)

    assert [e.fallback for e in running.exchanges(2)] == ["status", ""]
    assert not any(e.cached for e in running.exchanges(2))


async def test_a_failure_is_not_kept(plane) -> None:
    running = plane(split=0, cache=Cache())
    running.control.behaviour = Behaviour(break_after_chunks=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(running.url, stream=True)
    running.control.behaviour = Behaviour()

    _, body = await ask(running.url, stream=True)

    assert body.endswith(b"data: [DONE]\n\n")
    assert running.control.counts[CHAT] == 2
