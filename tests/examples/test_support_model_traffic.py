"""The demo's users: each one speaks one language and comes to one app; traffic is bounded and counts what fails."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterator

import msgspec
import pytest

from examples.support_model.data import GOLDEN
from examples.support_model.traffic import APPS, Question, Traffic, questions, request_body
from experiments.golden.sets import Expected, GoldenItem, load_golden
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

ITEMS = [
    GoldenItem(
        id=f"{language}{number}",
        request={"messages": [{"role": "user", "content": f"{language} {number}"}]},
        expected=Expected(exact="x"),
        tags={"language": language},
    )
    for language in ("en", "hi", "hi-Latn")
    for number in range(10)
]


def first(count: int, seed: int = 1) -> list[Question]:
    return list(itertools.islice(questions(ITEMS, seed), count))


def by_user(asked: list[Question]) -> dict[str, list[Question]]:
    found: dict[str, list[Question]] = defaultdict(list)
    for question in asked:
        found[question.user].append(question)
    return found


def test_the_same_seed_gives_the_same_traffic_and_another_one_another() -> None:
    assert first(500, seed=1) == first(500, seed=1)
    assert first(500, seed=1) != first(500, seed=2)


def test_a_user_speaks_one_language_comes_to_one_app_and_asks_one_to_four_questions() -> None:
    users = by_user(first(3_000))

    for asked in users.values():
        assert len({(question.app, question.language) for question in asked}) == 1
        assert 1 <= len(asked) <= 4
        contents = [question.messages[0]["content"] for question in asked]
        assert len(set(contents)) == len(contents), "nobody asks the same question twice"
        assert all(content.split()[0] == question.language for content, question in zip(contents, asked, strict=True))
    assert {len(asked) for asked in users.values()} == {1, 2, 3, 4}


def test_both_apps_and_all_languages_have_their_users() -> None:
    users = [asked[0] for asked in by_user(first(3_000)).values()]

    for values, expected in (
        ({u.app for u in users}, set(APPS)),
        ({u.language for u in users}, {"en", "hi", "hi-Latn"}),
    ):
        assert values == expected
    shares = [sum(user.app == app for user in users) / len(users) for app in APPS]
    assert shares == pytest.approx([0.5, 0.5], abs=0.02)


def test_some_thirty_users_are_active_at_a_time() -> None:
    asked = first(2_000)
    last = {question.user: number for number, question in enumerate(asked)}
    begun: dict[str, int] = {}
    for number, question in enumerate(asked):
        begun.setdefault(question.user, number)

    active = [sum(begun[user] <= now <= last[user] for user in begun) for now in range(500, 1_500, 50)]

    assert all(5 <= count <= 30 for count in active)


def test_the_bundled_golden_set_has_questions_enough_for_every_user() -> None:
    source = questions(load_golden(GOLDEN).items, seed=1)

    assert {question.language for question in itertools.islice(source, 500)} == {"en", "hi", "hi-Latn"}


def test_a_request_favours_neither_model() -> None:
    body = request_body(first(1)[0])

    assert (body["temperature"], body["cache_prompt"], body["max_tokens"]) == (0, False, 40)
    assert body["model"] in APPS


async def test_it_sends_what_the_users_ask_until_its_bound() -> None:
    backend = FakeBackend()
    with serving(backend) as url:
        traffic = Traffic(url, per_second=1_000, most=40)
        async with asyncio.timeout(10):
            await traffic.run(iter(first(99)), lambda: False)

    assert (traffic.sent, traffic.failed) == (40, 0)
    found = set()
    for request in backend.received:
        headers = dict(request["headers"])
        body = msgspec.json.decode(request["body"])
        found.add(
            (body["model"], headers[b"x-user-id"].decode(), headers[b"x-language"].decode(), str(body["messages"]))
        )
    assert found == {(q.app, q.user, q.language, str(q.messages)) for q in first(40)}


async def test_it_stops_when_it_is_told_that_all_is_decided() -> None:
    asked: list[Question] = []

    def counted() -> Iterator[Question]:
        for question in questions(ITEMS, 1):
            asked.append(question)
            yield question

    with serving(FakeBackend()) as url:
        traffic = Traffic(url, per_second=1_000, most=10_000)
        await traffic.run(counted(), lambda: len(asked) >= 7)

    assert traffic.sent == len(asked) == 7


async def test_the_rate_is_a_bound_that_is_never_made_up_for() -> None:
    with serving(FakeBackend()) as url:
        traffic = Traffic(url, per_second=50, most=10)
        started = asyncio.get_running_loop().time()
        await traffic.run(iter(first(10)), lambda: False)

    assert asyncio.get_running_loop().time() - started >= 10 / 50


async def test_no_more_than_thirty_two_are_in_flight_at_a_time() -> None:
    backend = FakeBackend(Behaviour(hang=True))
    with serving(backend) as url:
        traffic = Traffic(url, per_second=10_000, most=100)
        running = asyncio.ensure_future(traffic.run(questions(ITEMS, 1), lambda: False))
        await asyncio.sleep(0.7)
        assert len(backend.received) == 32
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_refused_and_what_never_arrives_is_counted_and_raises_nothing() -> None:
    with serving(FakeBackend(Behaviour(status=503))) as url:
        refused = Traffic(url, per_second=1_000, most=5)
        await refused.run(iter(first(5)), lambda: False)
    with bind("127.0.0.1:0") as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    lost = Traffic(nobody, per_second=1_000, most=5)
    await lost.run(iter(first(5)), lambda: False)

    assert (refused.sent, refused.failed, lost.sent, lost.failed) == (5, 5, 5, 5)
