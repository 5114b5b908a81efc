"""The golden client: asks both variants past the proxy, tries again where it helps, and raises for no backend."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from experiments.config.serving import Backend
from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenItem, asked
from experiments.golden.runs import Outcome, Said, judge_all, plan
from experiments.model import CONTROL, TREATMENT
from router.fakes.backend import Behaviour, FakeBackend, sometimes_wrong
from router.fakes.server import serving
from router.golden.client import GoldenClient, GoldenLimits, Target
from router.processes.workers import bind

QUICK = GoldenLimits(first_wait_s=0.01, total_timeout_s=5.0)


def items(count: int, **request) -> list[GoldenItem]:
    return [
        GoldenItem(id=str(n), request={**asked(f"q{n}"), **request}, expected=Expected(exact=f"echo: q{n}"))
        for n in range(count)
    ]


class Scripted:
    """Answers with these statuses in turn, the last one for ever, and a body of its own."""

    def __init__(self, *statuses: int, body: bytes = b"{}", headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.statuses, self.body, self.headers = list(statuses), body, headers
        self.asked_at: list[float] = []
        self.at_a_time = self.most_at_a_time = 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        self.asked_at.append(time.monotonic())
        self.at_a_time += 1
        self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(0.01)
        self.at_a_time -= 1
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        await send({"type": "http.response.start", "status": status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": self.body})


@pytest.fixture(name="start")
def _start() -> Iterator[Callable[..., str]]:
    """Serve an application; returns its URL."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


def target(*urls: str, protocol: str = "openai", path: str | None = None, key: SecretStr | None = None) -> Target:
    return Target(Backend(name="b", urls=urls, protocol=protocol), path, key)


async def ask(control: Target, treatment: Target, count: int = 1, limits: GoldenLimits = QUICK, **request):
    client = GoldenClient({CONTROL: control, TREATMENT: treatment}, limits)
    return await client.run(plan(items(count, **request), random.Random(1)))


def nowhere() -> str:
    listening = bind("127.0.0.1:0")
    port = listening.getsockname()[1]
    listening.close()
    return f"http://127.0.0.1:{port}"


async def test_every_item_reaches_both_variants_once_and_their_answers_come_back(start) -> None:
    control, treatment = FakeBackend(), FakeBackend(Behaviour(answer=sometimes_wrong(0.5)))

    answers = await ask(target(start(control)), target(start(treatment)), 20)

    found = judge_all(items(20), answers)
    assert {r.control for r in found} == {Outcome.OK}
    assert {r.treatment for r in found} == {Outcome.OK, Outcome.WRONG}
    for backend in (control, treatment):
        bodies = [msgspec.json.decode(one["body"]) for one in backend.received]
        assert sorted(body["messages"][0]["content"] for body in bodies) == sorted(f"q{n}" for n in range(20))


@pytest.mark.parametrize("stream", [True, False])
async def test_streams_and_plain_answers_are_read_alike(start, stream: bool) -> None:
    url = start(FakeBackend())

    answers = await ask(target(url), target(url), stream=stream)

    assert [said.text for said in answers["0"].values()] == ["echo: q0"] * 2
    assert all(said.latency_ms > 0 for said in answers["0"].values())


async def test_the_variants_may_speak_different_protocols(start) -> None:
    url = start(FakeBackend())

    answers = await ask(target(url), target(url, protocol="ollama"), model="m")

    assert [answers["0"][variant].text for variant in (CONTROL, TREATMENT)] == ["echo: q0"] * 2


async def test_a_backend_that_is_away_has_failed_its_items_and_harms_no_other(start) -> None:
    answers = await ask(target(start(FakeBackend())), target(nowhere()), 3)

    assert {said[CONTROL].error for said in answers.values()} == {""}
    assert {said[TREATMENT] for said in answers.values()} == {Said(error="connect", attempts=3)}


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_failure_that_may_pass_is_tried_twice_more(start, status: int) -> None:
    good = b'{"choices": [{"message": {"content": "echo: q0"}}]}'
    recovers, stays = Scripted(status, status, 200, body=good), Scripted(status)

    answers = await ask(target(start(recovers)), target(start(stays)))

    assert answers["0"][CONTROL].text == "echo: q0"
    assert answers["0"][CONTROL].attempts == 3
    assert answers["0"][TREATMENT] == Said(error=f"status {status}", attempts=3)
    assert len(stays.asked_at) == 3


@pytest.mark.parametrize("status", [400, 404, 307])
async def test_a_refusal_is_not_tried_again(start, status: int) -> None:
    refuses = Scripted(status, headers=((b"location", b"/elsewhere"),))

    answers = await ask(target(start(FakeBackend())), target(start(refuses)))

    assert answers["0"][TREATMENT] == Said(error=f"status {status}", attempts=1)
    assert len(refuses.asked_at) == 1


async def test_a_second_attempt_waits_as_long_as_the_backend_asks(start) -> None:
    busy = Scripted(429, 200, headers=((b"retry-after", b"1"),))

    await ask(target(start(FakeBackend())), target(start(busy)))

    first, second = busy.asked_at
    assert second - first >= 1.0


async def test_a_second_attempt_goes_to_another_endpoint(start) -> None:
    answers = await ask(target(start(FakeBackend())), target(nowhere(), start(FakeBackend())))

    assert answers["0"][TREATMENT].text == "echo: q0"
    assert answers["0"][TREATMENT].attempts == 2


async def test_a_backend_that_hangs_costs_its_time_limit_once(start) -> None:
    hangs = FakeBackend(Behaviour(hang=True))
    limits = QUICK._replace(total_timeout_s=0.3)

    answers = await ask(target(start(FakeBackend())), target(start(hangs)), limits=limits)

    assert answers["0"][TREATMENT] == Said(error="timeout", attempts=1)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "no text in the answer"),
        (b"<html>", "no text in the answer"),
        (b'data: {"error": {"message": "secret"}}\n\n', "stream broken off"),
        (b"x" * 5_000_000, "answer too long"),
    ],
)
async def test_an_answer_that_cannot_be_read_has_failed(start, body: bytes, error: str) -> None:
    answers = await ask(target(start(FakeBackend())), target(start(Scripted(200, body=body))))

    assert answers["0"][TREATMENT].error == error


async def test_a_stream_that_breaks_off_has_failed(start) -> None:
    breaks = FakeBackend(Behaviour(break_after_chunks=2))

    answers = await ask(target(start(FakeBackend())), target(start(breaks)), stream=True)

    assert answers["0"][TREATMENT].error
    assert answers["0"][TREATMENT].text is None


async def test_no_more_items_are_on_their_way_than_allowed(start) -> None:
    control, treatment = Scripted(200), Scripted(200)

    await ask(target(start(control)), target(start(treatment)), 30, QUICK._replace(concurrency=3))

    assert 1 < control.most_at_a_time + treatment.most_at_a_time <= 6
    assert control.most_at_a_time <= 3
    assert len(control.asked_at) == len(treatment.asked_at) == 30


async def test_progress_is_told_after_each_item(start) -> None:
    url, told = start(FakeBackend()), []
    client = GoldenClient({CONTROL: target(url), TREATMENT: target(url)}, QUICK)

    await client.run(plan(items(7), random.Random(0)), lambda *done: told.append(done))

    assert told == [(n, 7) for n in range(1, 8)]


async def test_an_empty_set_asks_nobody() -> None:
    assert await ask(target(nowhere()), target(nowhere()), 0) == {}


async def test_the_key_of_a_backend_goes_to_it_and_into_no_log(start) -> None:
    control, treatment = FakeBackend(), FakeBackend()

    with capture_logs() as logs:
        await ask(target(start(control)), target(start(treatment), key=SecretStr("s3cret-key")))

    sent = [dict(backend.received[0]["headers"]).get(b"authorization") for backend in (control, treatment)]
    assert sent == [None, b"Bearer s3cret-key"]
    assert "s3cret" not in str(logs)
    assert "q0" not in str(logs)


async def test_items_are_posted_where_the_experiment_matches(start) -> None:
    backend = FakeBackend()
    url = start(backend)

    await ask(target(url + "/", path="/v1/completions"), target(url, path="/v1/completions"), prompt="x")

    assert backend.counts == {"/v1/completions": 2}


def test_a_protocol_without_chats_needs_a_path() -> None:
    with pytest.raises(ValueError, match=r"items for b \(raw\) need a path"):
        target("http://127.0.0.1:1", protocol="raw")
