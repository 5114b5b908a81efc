"""Serving one exchange: streamed bodies, limits, who answers in whose place. Over real sockets and both transports."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from experiments.config.serving import ClientLimits
from experiments.journal.reading import read_texts
from experiments.model import CONTROL, TREATMENT
from experiments.privacy.keeping import NOT_KEPT
from router.fakes.backend import Behaviour

CHAT = "/v1/chat/completions"
MIB = 2**20
PIECE = bytes(range(256)) * 256
LARGE = {"max_body_bytes": 8 * MIB, "stream_body_bytes": 100_000, "connect_timeout_s": 0.5}
REFUSED = "http://127.0.0.1:9"


async def pieces(count: int, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE
        await asyncio.sleep(pause_s)


async def post(url: str, data: object, *, user: str = "u", **headers: str) -> tuple[int, dict[str, str], bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + CHAT, data=data, headers={"x-user-id": user, **headers}) as response,
    ):
        return response.status, dict(response.headers), await response.read()


async def happens(condition: Callable[[], object]) -> float:
    """Wait until something holds; returns how long that took, in seconds."""
    started = time.monotonic()
    while not condition() and time.monotonic() - started < 2:  # noqa: ASYNC110  # the fake is in another thread
        await asyncio.sleep(0.005)
    return time.monotonic() - started


async def test_a_large_body_arrives_whole_is_recorded_with_its_length_and_never_sent_twice(plane) -> None:
    running = plane(split=100, mirror=100, settings=LARGE)

    status, _, _ = await post(running.url, pieces(40))

    [exchange] = running.exchanges(1)
    [received] = running.treatment.received
    assert status == 200
    assert received["body"] == PIECE * 40
    assert (b"transfer-encoding", b"chunked") in received["headers"]
    assert (exchange.bytes_in, exchange.truncated, exchange.pair, exchange.error) == (len(PIECE) * 40, True, "", "")
    assert running.control.received == []


async def test_a_large_body_of_known_length_keeps_its_length(plane) -> None:
    running = plane(split=0, settings=LARGE)

    await post(running.url, PIECE * 10)

    [received] = running.control.received
    assert received["body"] == PIECE * 10
    assert dict(received["headers"])[b"content-length"] == str(len(PIECE) * 10).encode()
    assert b"transfer-encoding" not in dict(received["headers"])


async def test_a_small_body_on_the_same_path_is_mirrored(plane) -> None:
    running = plane(split=100, mirror=100, settings=LARGE)

    await post(running.url, b"small")

    running.exchanges(1, "shadow")
    assert running.control.received[0]["body"] == b"small"


async def test_a_stream_of_a_body_that_grows_too_large_is_refused_with_413(plane) -> None:
    running = plane(split=0, settings=LARGE | {"max_body_bytes": 200_000})

    try:
        status, _, body = await post(running.url, pieces(10, 0.01))
    except aiohttp.ClientError:  # the connection is closed on a client that is still sending
        status, body = 413, b"larger than 200000 bytes"

    assert status == 413
    assert b"larger than 200000 bytes" in body
    [exchange] = running.exchanges(1)
    assert exchange.error == "client_closed"


async def test_a_client_that_leaves_in_the_middle_of_a_large_body_is_no_fault_of_the_backend(plane) -> None:
    running = plane(split=0, settings=LARGE)

    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(0.5):
            await post(running.url, pieces(1_000, 0.05))

    [exchange] = running.exchanges(1)
    assert exchange.error == "client_closed"


async def test_a_large_body_goes_to_control_if_the_treatment_cannot_be_connected_to(plane) -> None:
    running = plane(split=100, treatment_url=REFUSED, settings=LARGE)

    status, _, _ = await post(running.url, pieces(10))

    [exchange] = running.exchanges(1)
    assert (status, exchange.fallback, exchange.served) == (200, "connect", CONTROL)
    assert running.control.received[0]["body"] == PIECE * 10


async def test_a_large_body_that_was_sent_is_not_sent_again_whatever_the_answer(plane) -> None:
    running = plane(split=100, settings=LARGE)
    running.treatment.behaviour = Behaviour(status=500)

    status, _, _ = await post(running.url, pieces(10))

    [exchange] = running.exchanges(1)
    assert (status, exchange.error, exchange.fallback) == (500, "status", "")
    assert running.control.received == []


async def test_an_answer_that_takes_longer_than_the_total_timeout_is_broken_off(plane) -> None:
    running = plane(split=0, settings={"total_timeout_s": 0.4})
    running.control.behaviour = Behaviour(chunks=100, chunk_delay_ms=50)
    body = b'{"model": "support", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'

    with pytest.raises(aiohttp.ClientPayloadError):
        await post(running.url, body)

    [exchange] = running.exchanges(1)
    assert exchange.error == "timeout"
    assert 0 < exchange.latency_ms < 2_000


async def test_an_answer_that_has_not_begun_within_the_total_timeout_is_a_504(plane) -> None:
    running = plane(split=0, settings={"total_timeout_s": 0.3})
    running.control.behaviour = Behaviour(hang=True)

    status, _, body = await post(running.url, b"hello")

    assert status == 504
    assert b"did not answer in time" in body


async def test_beyond_the_limit_of_requests_in_flight_one_is_told_when_to_try_again_and_then_served(plane) -> None:
    running = plane(split=0, settings={"clients": ClientLimits(max_in_flight=2)})
    running.control.behaviour = Behaviour(delay_ms=800)
    busy = [asyncio.create_task(post(running.url, b"hello")) for _ in range(2)]
    await happens(lambda: len(running.control.received) == 2)

    status, headers, body = await post(running.url, b"hello")
    answered = await asyncio.gather(*busy)

    assert (status, headers["Retry-After"]) == (503, "1")
    assert b'"error"' in body
    assert [one[0] for one in answered] == [200, 200]
    assert (await post(running.url, b"hello"))[0] == 200
    assert len(running.exchanges(3)) == 3


async def test_the_variant_is_named_only_where_the_configuration_says_so(plane) -> None:
    for expose, named in ((False, None), (True, TREATMENT)):
        running = plane(split=100, expose_variant=expose)

        _, headers, _ = await post(running.url, b"hello")

        assert headers.get("x-touchstone-variant") == named


async def test_without_capture_no_text_of_a_request_or_an_answer_leaves_the_proxy(plane) -> None:
    running = plane(split=100, mirror=100, capture="none")

    await post(running.url, b'{"messages": [{"role": "user", "content": "a secret"}]}')

    [live], [shadow] = running.exchanges(1), running.exchanges(1, "shadow")
    assert b"secret" not in b"".join(path.read_bytes() for path in running.folder.glob("*.journal"))
    answered = [read_texts(exchange) for exchange in (live, shadow)]
    assert [(read.prompt, read.answer) for read in answered] == [(None, NOT_KEPT)] * 2
    assert all(read.output_tokens and not read.empty and not read.exchange.truncated for read in answered)


async def test_what_is_redacted_reaches_the_user_and_not_the_journal(plane) -> None:
    running = plane(split=100, redact=("[6-9][0-9]{9}",))

    _, _, body = await post(running.url, b'{"messages": [{"role": "user", "content": "I am 9123456780"}]}')

    assert b"echo: I am 9123456780" in body
    read = read_texts(running.exchanges(1)[0])
    assert (read.prompt, read.answer) == ("I am [redacted]", "echo: I am [redacted]")


async def test_a_failed_control_is_answered_by_the_treatment_only_where_the_configuration_says_so(plane) -> None:
    alone = plane(split=0, control_url=REFUSED, settings={"connect_timeout_s": 0.5})
    assert (await post(alone.url, b"hello"))[0] == 502

    both = plane(split=0, control_url=REFUSED, fallback="both", settings={"connect_timeout_s": 0.5})
    assert (await post(both.url, b"hello"))[0] == 200
    exchange = both.exchanges(2)[-1]
    assert (exchange.assigned, exchange.served, exchange.fallback) == (CONTROL, TREATMENT, "connect")


async def test_a_treatment_that_nobody_stands_in_for_answers_for_itself(plane) -> None:
    running = plane(split=100, fallback="none")
    running.treatment.behaviour = Behaviour(status=503)

    assert (await post(running.url, b"hello"))[0] == 503
    assert running.control.received == []


@pytest.mark.parametrize(
    ("excluded", "body", "header"),
    [
        ("tools", b'{"messages": [{"content": "hi"}], "tools": [{"type": "function"}]}', ""),
        ("stateful", b'{"messages": [{"content": "hi"}], "previous_response_id": "r1"}', ""),
        ("header:x-no-mirror", b"hello", "1"),
    ],
)
async def test_what_must_not_be_repeated_is_not_mirrored(plane, excluded: str, body: bytes, header: str) -> None:
    running = plane(split=0, mirror=100, mirror_exclude=(excluded,))

    await post(running.url, body, **({"x-no-mirror": header} if header else {}))
    await post(running.url, b"hello")

    first, second = running.exchanges(2)
    assert (first.pair, second.pair) == ("", second.id)
    assert len(running.exchanges(1, "shadow")) == 1


async def test_one_can_ask_that_the_users_copy_always_goes_out_first(plane) -> None:
    running = plane(split=0, mirror=100, mirror_order="live_first")

    for _ in range(12):
        await post(running.url, b"hello")

    assert not any(exchange.shadow_first for exchange in running.exchanges(12))


async def test_the_backend_is_let_go_within_a_tenth_of_a_second_after_the_client_left(plane) -> None:
    running = plane(split=0)
    running.control.behaviour = Behaviour(hang=True)
    asking = asyncio.create_task(post(running.url, b"hello"))
    await happens(lambda: running.control.received)

    asking.cancel()

    assert await happens(lambda: running.control.cancelled) < 0.1
    assert running.exchanges(1)[0].error == "client_closed"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/other", lambda body: body["error"]["message"]),
        ("/api/chat", lambda body: body["error"]),
        ("/v2/models/m/infer", lambda body: body["error"]),
    ],
)
async def test_a_refusal_has_the_shape_that_the_clients_of_its_path_parse(plane, path: str, says) -> None:
    running = plane()

    async with aiohttp.ClientSession() as session, session.post(running.url + path, data=b"{}") as response:
        assert response.status == 404
        assert "no experiment matches" in says(await response.json())
