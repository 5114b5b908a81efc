"""Asking a pair: in turns, once each, clocked from the connection to the last byte; raises for no backend."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest

from experiments.config.serving import Backend
from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenItem, asked
from router.benching.asking import Asking, ask_one_variant, ask_pair
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.golden.client import Target
from router.processes.workers import bind

NO_WARMUP = Asking(warmup=0)


def items(count: int, **request: object) -> list[GoldenItem]:
    return [
        GoldenItem(id=str(n), request={**asked(f"q{n}"), **request}, expected=Expected(exact="")) for n in range(count)
    ]


def target(url: str, protocol: Any = "openai", path: str | None = None) -> Target:
    return Target(Backend(name="b", urls=(url,), protocol=protocol), path)


class Watched:
    """A backend that takes 20 ms, and counts what is out to all of its kind at a time."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name, self.out, self.most = log, name, 0, 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        self.log.append(self.name)
        self.out += 1
        self.most = max(self.most, self.out)
        await asyncio.sleep(0.02)
        self.out -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = b'{"choices": [{"message": {"content": "yes"}}], "usage": {"completion_tokens": 7}}'
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(name="start")
def _start() -> Iterator[Callable[..., str]]:
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


async def test_the_variants_take_turns_after_a_warm_up_that_is_not_counted(start) -> None:
    log: list[str] = []
    control, treatment = (target(start(Watched(log, name))) for name in "ct")

    found = await ask_pair({"control": control, "treatment": treatment}, items(4), Asking(warmup=2))

    assert "".join(log) == "cctt" + "cttc" * 2
    assert {name: len(samples) for name, samples in found.items()} == {"control": 4, "treatment": 4}
    for sample in found["control"].values():
        assert (sample.text, sample.tokens, sample.first_ms) == ("yes", 7, None)
        assert sample.latency_ms is not None
        assert sample.latency_ms >= 20


async def test_so_many_are_out_as_one_says_and_only_to_one_variant_at_a_time(start) -> None:
    log: list[str] = []
    backends = [Watched(log, name) for name in "ct"]
    done: list[tuple[int, int]] = []
    targets = dict(zip(("control", "treatment"), (target(start(one)) for one in backends), strict=True))

    await ask_pair(targets, items(20), Asking(concurrency=2, warmup=0), lambda *so_far: done.append(so_far))

    assert [one.most for one in backends] == [2, 2]
    assert "".join(log) == "c" * 16 + "t" * 16 + "t" * 4 + "c" * 4
    assert done == [(16, 20), (20, 20)]


class Streaming:
    """A stream whose first event is a role, its text 50 ms later, its end 50 ms after that."""

    async def __call__(self, scope, _receive, send) -> None:
        if scope["type"] != "http":
            return
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for delta in ({"role": "assistant", "content": None}, {"content": "yes"}):
            event = b"data: %s\n\n" % msgspec.json.encode({"choices": [{"delta": delta}]})
            await send({"type": "http.response.body", "body": event, "more_body": True})
            await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def test_the_first_token_of_a_stream_is_its_first_text_and_not_its_first_event(start) -> None:
    found = await ask_one_variant(target(start(Streaming())), items(1), NO_WARMUP)

    sample = found["0"]
    assert (sample.text, sample.tokens, sample.tokens_estimated) == ("yes", 1, True)
    assert sample.first_ms is not None
    assert sample.latency_ms is not None
    assert 50 <= sample.first_ms <= sample.latency_ms
    assert sample.latency_ms >= 100


async def test_an_embedding_comes_back_as_a_vector_with_the_tokens_that_were_read(start) -> None:
    one = GoldenItem(id="e", request={"input": "hello"}, expected=Expected(label="greeting"))

    found = await ask_one_variant(target(start(FakeBackend()), path="/v1/embeddings"), [one], NO_WARMUP)

    assert (found["e"].vector, found["e"].tokens, found["e"].error) == ((0.25, -0.5), 2, "")


async def test_what_goes_into_every_request_goes_over_its_own_and_the_model_does_not(start) -> None:
    backend = FakeBackend()
    asking = Asking(warmup=0, model="int4", fields={"temperature": 0.5})

    await ask_one_variant(target(start(backend)), items(1, model="mine"), asking)
    await ask_one_variant(target(start(backend)), items(1), asking)

    bodies = [msgspec.json.decode(one["body"]) for one in backend.received]
    assert [(body["model"], body["temperature"]) for body in bodies] == [("mine", 0.5), ("int4", 0.5)]


async def test_a_failure_is_counted_and_not_asked_again(start) -> None:
    backend = FakeBackend(Behaviour(status=503))
    listening = bind("127.0.0.1:0")
    nowhere = f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()

    found = await ask_pair({"control": target(start(backend)), "treatment": target(nowhere)}, items(2), NO_WARMUP)

    assert {sample.error for sample in found["control"].values()} == {"status 503"}
    assert {sample.error for sample in found["treatment"].values()} == {"connect"}
    assert len(backend.received) == 2


async def test_an_answer_that_does_not_come_ends_in_time(start) -> None:
    url = start(FakeBackend(Behaviour(hang=True)))
    started_at = time.monotonic()

    found = await ask_one_variant(target(url), items(1), Asking(total_timeout_s=0.1))

    assert found["0"].error == "timeout"
    assert time.monotonic() - started_at < 10
