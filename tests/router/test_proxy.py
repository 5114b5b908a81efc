"""One exchange through real sockets: what the backend gets, what the client gets, what is recorded."""

import asyncio
import io
import json
import socket
import time

import aiohttp
import openai
import pytest

from experiments.model import CONTROL, TREATMENT
from router.fakes.backend import Behaviour
from router.fakes.server import serving
from router.processes.workers import bind

CHAT = "/v1/chat/completions"


def chat(content: str = "hello", **more) -> dict:
    return {"model": "support", "messages": [{"role": "user", "content": content}], **more}


async def ask(url: str, user: str = "u1", **more) -> tuple[int, dict[str, str], bytes]:
    headers = {"x-user-id": user, **more.pop("headers", {})}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + CHAT, json=chat(**more), headers=headers) as response,
    ):
        return response.status, dict(response.headers), await response.read()


def refused_url() -> str:
    """An address on loopback at which nobody listens."""
    with bind("127.0.0.1:0") as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def test_a_user_always_gets_the_same_variant_and_the_shares_follow_the_split(plane) -> None:
    running = plane(split=50)
    async with aiohttp.ClientSession() as session:
        for number in range(200):
            async with session.post(
                running.url + CHAT, json=chat(), headers={"x-user-id": f"u{number % 100}"}
            ) as response:
                assert response.status == 200

    exchanges = running.exchanges(200)
    variants: dict[str, set[str]] = {}
    for exchange in exchanges:
        variants.setdefault(exchange.unit, set()).add(exchange.served)
    assert len(variants) == 100
    assert all(len(served) == 1 for served in variants.values())
    assert running.treatment.counts[CHAT] == sum(e.served == TREATMENT for e in exchanges)
    assert 25 <= sum(served == {TREATMENT} for served in variants.values()) <= 75


async def test_the_recorded_exchange_says_all_that_the_analysis_needs(plane) -> None:
    running = plane(split=100)

    status, headers, body = await ask(running.url, headers={"x-language": "hi"})

    [exchange] = running.exchanges(1)
    assert status == 200
    assert headers["x-touchstone-exchange"] == exchange.id
    assert (exchange.experiment, exchange.epoch, exchange.assigned, exchange.served) == (
        "support",
        1,
        TREATMENT,
        TREATMENT,
    )
    assert (exchange.propensity, exchange.status, exchange.error, exchange.slices) == (
        1.0,
        200,
        "",
        {"x-language": "hi"},
    )
    assert exchange.response_text.encode() == body
    assert json.loads(exchange.request_text) == chat()
    assert exchange.ttft_ms is not None
    assert exchange.latency_ms is not None
    assert 0 < exchange.ttft_ms <= exchange.latency_ms
    assert "u1" not in exchange.unit


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_any_method_path_query_and_body_reach_the_default_backend_unchanged(plane, method: str) -> None:
    running = plane(settings={"default_backend": "original"})
    body = bytes(range(256)) if method not in {"GET", "OPTIONS"} else b""

    async with aiohttp.ClientSession() as session:
        target = running.url + "/a%20b/c;d?x=1&y=%2F"
        headers = {"x-custom": "kept", "connection": "x-hop", "x-hop": "dropped", "x-touchstone-force": "dropped"}
        async with session.request(
            method, aiohttp.client.URL(target, encoded=True), data=body, headers=headers
        ) as response:
            echoed = await response.json()

    received = dict(echoed["headers"])
    assert (echoed["method"], echoed["path"], echoed["query"]) == (method, "/a%20b/c;d", "x=1&y=%2F")
    assert echoed["body"].encode("latin-1") == body
    assert received["x-custom"] == "kept"
    assert not {"x-hop", "x-touchstone-force"} & received.keys()


async def test_a_stream_is_passed_on_piece_by_piece(plane) -> None:
    running = plane(split=0)
    running.control.behaviour = Behaviour(chunks=5, chunk_delay_ms=100)

    started = time.monotonic()
    async with aiohttp.ClientSession() as session, session.post(running.url + CHAT, json=chat(stream=True)) as response:
        assert response.headers["content-type"] == "text/event-stream"
        arrivals = [time.monotonic() - started async for _ in response.content.iter_any()]

    [exchange] = running.exchanges(1)
    assert arrivals[0] < 0.3
    assert arrivals[-1] > 0.4
    assert exchange.stream
    assert exchange.latency_ms - exchange.ttft_ms > 300


async def test_truncated_json_is_the_backends_affair_and_passes_untouched(plane) -> None:
    running = plane(split=0)

    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + CHAT, data=b'{"model": "supp') as response,
    ):
        echoed = await response.json()

    assert echoed["body"] == '{"model": "supp'
    assert len(running.exchanges(1)) == 1


async def test_a_path_that_nobody_serves_is_a_clear_error_in_the_shape_that_clients_parse(plane) -> None:
    running = plane()

    async with aiohttp.ClientSession() as session, session.get(running.url + "/v1/nothing") as response:
        error = (await response.json())["error"]

    assert response.status == 404
    assert error["code"] == "no_experiment"
    assert CHAT in error["message"]


async def test_a_body_of_100_mb_is_refused_while_others_are_served(plane) -> None:
    running = plane(split=0)

    async def endless():
        for _ in range(100):
            yield b"x" * 2**20

    sockets = []

    def opened(address) -> socket.socket:
        sockets.append(socket.socket(*address[:3]))
        return sockets[-1]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=opened)) as session:
        announced = session.post(running.url + CHAT, data=io.BytesIO(b"x" * 2**21))
        async with announced as response:
            error = (await response.json())["error"]
        assert (response.status, error["code"]) == (413, "body_too_large")
        big = asyncio.ensure_future(_post_until_refused(session, running.url + CHAT, endless()))
        assert (await ask(running.url))[0] == 200
        assert await big == 413
    # The client that was cut off while it still had bytes to send ends later than its session.
    async with asyncio.timeout(20):
        while any(each.fileno() >= 0 for each in sockets):  # noqa: ASYNC110  # aiohttp has no event for it
            await asyncio.sleep(0.01)


async def _post_until_refused(session, url: str, data) -> int:
    try:
        async with session.post(url, data=data) as response:
            return response.status
    except (aiohttp.ClientOSError, ConnectionError):
        return 413  # the server closed the connection while we were still sending


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_when_the_treatment_fails_the_user_gets_controls_answer_and_the_treatment_the_blame(
    plane, status: int
) -> None:
    running = plane(split=100)
    running.treatment.behaviour = Behaviour(status=status)

    answered, _, body = await ask(running.url)

    [exchange] = running.exchanges(1)
    assert (answered, json.loads(body)["choices"][0]["message"]["content"]) == (200, "echo: hello")
    assert (exchange.assigned, exchange.served, exchange.fallback, exchange.error) == (TREATMENT, CONTROL, "status", "")
    assert running.control.counts[CHAT] == 1


async def test_a_treatment_that_refuses_connections_costs_no_user_an_answer(plane) -> None:
    running = plane(split=100, treatment_url=refused_url())

    answers = [(await ask(running.url, user=f"u{n}"))[0] for n in range(10)]

    assert answers == [200] * 10
    fallbacks = [e.fallback for e in running.exchanges(10)]
    assert fallbacks == ["connect"] * 5 + ["unavailable"] * 5, "its circuit opens at the fifth"


async def test_a_treatment_that_never_answers_is_replaced_at_the_first_byte_timeout(plane) -> None:
    running = plane(split=100, settings={"first_byte_timeout_s": 0.3})
    running.treatment.behaviour = Behaviour(hang=True)

    status, _, _ = await ask(running.url)

    [exchange] = running.exchanges(1)
    assert (status, exchange.fallback) == (200, "timeout")


async def test_a_treatment_that_breaks_off_before_the_first_byte_is_replaced(plane) -> None:
    running = plane(split=100)
    running.treatment.behaviour = Behaviour(break_after_chunks=0)

    status, _, body = await ask(running.url, stream=True)

    assert status == 200
    assert body.endswith(b"data: [DONE]\n\n")
    assert running.exchanges(1)[0].fallback == "reset"


async def test_a_control_that_refuses_is_a_clear_error_and_never_silently_the_treatment(plane) -> None:
    running = plane(split=0, control_url=refused_url())

    status, headers, body = await ask(running.url)

    [exchange] = running.exchanges(1)
    assert (status, json.loads(body)["error"]["code"]) == (502, "upstream_connect")
    assert (exchange.error, exchange.status, headers["x-touchstone-exchange"]) == ("connect", 502, exchange.id)
    assert running.treatment.counts[CHAT] == 0


async def test_a_stream_that_breaks_in_the_middle_is_broken_for_the_client_too(plane) -> None:
    """Read from a raw socket: there must be no terminating chunk, and no invented [DONE]."""
    running = plane(split=100)
    running.treatment.behaviour = Behaviour(chunks=10, break_after_chunks=3, chunk_delay_ms=5)
    host, port = running.url.removeprefix("http://").split(":")
    body = json.dumps(chat(stream=True)).encode()
    request = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    def exchange() -> bytes:
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            raw.sendall(request)
            received = b""
            while piece := raw.recv(65536):
                received += piece
        return received

    received = await asyncio.to_thread(exchange)

    assert received.count(b"data: ") == 3
    assert not received.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in received
    assert running.exchanges(1)[0].error == "reset"


async def test_a_stream_that_stalls_is_broken_off_at_the_limit_and_not_ended(plane) -> None:
    running = plane(split=0, settings={"between_bytes_timeout_s": 0.4})
    running.control.behaviour = Behaviour(chunks=3, chunk_delay_ms=5_000)

    with pytest.raises(aiohttp.ClientPayloadError):
        async with asyncio.timeout(3):
            await ask(running.url, stream=True)

    assert running.exchanges(1)[0].error == "timeout"


async def test_a_client_that_leaves_before_the_first_byte_cancels_the_backends_work(plane) -> None:
    running = plane(split=0)
    running.control.behaviour = Behaviour(hang=True)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await ask(running.url)

    [exchange] = await asyncio.to_thread(running.exchanges, 1)
    assert exchange.error == "client_closed"
    await asyncio.sleep(0.1)
    assert running.control.cancelled == 1


async def test_an_upgrade_is_refused_clearly(plane) -> None:
    running = plane()

    async with aiohttp.ClientSession() as session:
        headers = {"connection": "upgrade", "upgrade": "websocket"}
        async with session.get(running.url + CHAT, headers=headers) as response:
            assert response.status == 501
            assert (await response.json())["error"]["code"] == "upgrade_not_supported"


async def test_the_openai_sdk_gets_through_the_router_what_it_gets_directly(plane) -> None:
    running = plane(split=50, mirror=50)
    messages = [{"role": "user", "content": "नमस्ते, where is my order?"}]
    with serving(running.control) as direct:
        results = []
        for base in (direct, running.url):
            async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="none") as client:
                answer = await client.chat.completions.create(model="support", messages=messages)
                stream = await client.chat.completions.create(model="support", messages=messages, stream=True)
                pieces = [chunk.choices[0].delta.content async for chunk in stream]
            sync = await asyncio.to_thread(_sync_completion, base, messages)
            results.append((answer.model_dump(), pieces, sync))

    assert results[0] == results[1]


def _sync_completion(base: str, messages: list) -> tuple:
    with openai.OpenAI(base_url=f"{base}/v1", api_key="none") as client:
        answer = client.chat.completions.create(model="support", messages=messages)
        stream = client.chat.completions.create(model="support", messages=messages, stream=True)
        return answer.model_dump(), [chunk.choices[0].delta.content for chunk in stream]


async def test_the_openai_sdk_raises_its_own_error_with_our_message(plane) -> None:
    running = plane(split=0, control_url=refused_url())

    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.InternalServerError, match="refused the connection"):
            await client.chat.completions.create(model="support", messages=[{"role": "user", "content": "hi"}])
