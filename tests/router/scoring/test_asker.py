"""One question to one backend: what came of it, in words that quote nothing."""

import asyncio
import json
import socket
from pathlib import Path

import aiohttp
import pytest

from experiments.config.records import Backend
from experiments.scorers.asking import Question
from experiments.scoring.score_tasks import Spend
from router.fakes import wire
from router.fakes.server import serving
from router.scoring.asker import Asker, Reply, Trouble, retry_after_s, spend_of

QUESTION = Question("/v1/embeddings", {"input": ["हाँ"]})


def ask(url: str, timeout_s: float = 5.0, **backend) -> Reply | Trouble:
    async def once() -> Reply | Trouble:
        async with aiohttp.ClientSession(trust_env=False) as session:
            asker = Asker(Backend(name="judge", urls=(url,), **backend), Path())
            return await asker.ask(session, QUESTION, timeout_s)

    return asyncio.run(once())


def test_a_question_carries_its_body_and_the_backends_key(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    async def app(scope, receive, send) -> None:
        seen["path"], seen["headers"] = scope["path"], dict(scope["headers"])
        seen["body"] = wire.decode(await wire.read_body(receive))
        await wire.json(send, 200, {"usage": {"prompt_tokens": 3, "completion_tokens": 4}})

    monkeypatch.setenv("JUDGE_KEY", "secret")
    with serving(app) as url:
        reply = ask(f"{url}/", api_key="env:JUDGE_KEY")

    assert (seen["path"], seen["body"]) == (QUESTION.path, QUESTION.body)
    assert seen["headers"][b"authorization"] == b"Bearer secret"
    assert isinstance(reply, Reply)
    assert reply.spend == Spend(1, 3, 4)


@pytest.mark.parametrize(
    ("status", "headers", "trouble"),
    [
        (400, (), Trouble("status 400")),
        (500, (), Trouble("status 500")),
        (503, ((b"retry-after", b"2"),), Trouble("status 503", is_busy=True, wait_s=2.0)),
        (429, ((b"retry-after", b"soon"),), Trouble("status 429", is_busy=True, is_limited=True)),
        (302, ((b"location", b"http://127.0.0.1:1/"),), Trouble("status 302")),
    ],
)
def test_a_status_is_a_trouble_and_says_whether_the_server_is_busy(status: int, headers, trouble: Trouble) -> None:
    async def app(_scope, _receive, send) -> None:
        await wire.whole(send, status, b"application/json", b"the prompt again", *headers)

    with serving(app) as url:
        assert ask(url) == trouble


def test_a_server_that_is_not_there_is_busy_and_one_that_hangs_is_not() -> None:
    async def app(_scope, _receive, _send) -> None:
        await asyncio.sleep(0.5)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert ask(f"http://127.0.0.1:{free.getsockname()[1]}") == Trouble("connect", is_busy=True)
    with serving(app) as url:
        assert ask(url, timeout_s=0.1) == Trouble("timeout")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"usage": 1}', b"\xff", json.dumps({"usage": None}).encode()])
def test_a_reply_that_says_no_tokens_is_one_call(body: bytes) -> None:
    assert spend_of(body) == Spend(1, 0, 0)


def test_waits_that_make_no_sense_are_none() -> None:
    assert [retry_after_s(value) for value in ("", "nan", "-1", "inf", "Wed, 21 Oct 2026 07:28:00 GMT", "0")] == [
        *[None] * 5,
        0.0,
    ]
