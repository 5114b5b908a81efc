from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from rich.console import Console

from analysis.result import Estimate
from examples.support_model.data import GOLDEN
from examples.support_model.errors import SupportModelError
from examples.support_model.measure import answers, compare, ladder
from examples.support_model.serve import running
from experiments.golden.sets import Expected, GoldenItem, load_golden

Handler = Callable[[web.Request], Awaitable[web.Response]]


def item(number: int, language: str = "en", template: str = "a") -> GoldenItem:
    request = {"messages": [{"role": "user", "content": f"question {number}"}]}
    return GoldenItem(
        id=f"t{number}",
        request=request,
        expected=Expected(exact="yes"),
        tags={"language": language, "template": template},
    )


async def ask(handler: Handler, golden: Sequence[GoldenItem], concurrency: int = 4) -> list[str]:
    """Ask a made-up server."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    async with TestServer(app) as server:
        return await answers(str(server.make_url("")).rstrip("/"), golden, concurrency)


def completion(text: str) -> web.Response:
    return web.json_response({"choices": [{"message": {"content": text}}]})


def test_compare_counts_who_alone_is_right() -> None:
    golden = [item(0), item(1), item(2, "hi", "b"), item(3, "hi", "b")]
    found = compare(golden, ["yes", " yes\n", "yes", "no"], ["yes", "no", "no", "yes"])
    assert (found.overall.n, found.overall.right_a, found.overall.right_b) == (4, 3, 2)
    assert (found.overall.only_a, found.overall.only_b, found.overall.clusters) == (2, 1, 2)
    assert (found.overall.accuracy_a, found.overall.accuracy_b, found.overall.difference) == (0.75, 0.5, -0.25)
    assert list(found.by_tag) == ["language"], "the template is the unit, not a slice"
    assert {name: c.difference for name, c in found.by_tag["language"].items()} == {"en": -0.5, "hi": 0.0}


def test_compare_clusters_by_template() -> None:
    """Eight losses in one template are one observation, eight in eight templates are eight."""
    alike = compare([item(n) for n in range(8)], ["yes"] * 8, ["no"] * 8).overall
    apart = compare([item(n, template=str(n)) for n in range(8)], ["yes"] * 8, ["no"] * 8).overall
    assert alike.p_mid == apart.p_mid == pytest.approx(2**-8)
    assert alike.p_cluster == pytest.approx(0.317, abs=1e-3)
    assert apart.p_cluster == pytest.approx(0.0047, abs=1e-4)


def test_a_question_without_a_template_stands_for_itself() -> None:
    bare = [GoldenItem(id=str(n), request={}, expected=Expected(exact="yes")) for n in range(3)]
    found = compare(bare, ["yes"] * 3, ["yes"] * 3)
    assert (found.overall.clusters, found.by_tag) == (3, {})
    assert (found.overall.p_mid, found.overall.p_cluster) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("golden", "a", "b", "message"),
    [
        ([], [], [], "golden is empty"),
        ([item(0)], ["yes"], [], "shorter"),
        ([GoldenItem(id="t7", request={}, expected=Expected(label="x"))], ["yes"], ["yes"], "t7 has no expected.exact"),
    ],
)
def test_compare_refuses_what_it_cannot_mark(
    golden: list[GoldenItem], a: list[str], b: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare(golden, a, b)


async def test_answers_keep_the_order_and_the_bound() -> None:
    in_flight, most = 0, 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal in_flight, most
        body = await request.json()
        in_flight += 1
        most = max(most, in_flight)
        number = int(body["messages"][0]["content"].split()[1])
        await asyncio.sleep(0.001 * (number % 3))
        in_flight -= 1
        assert (body["max_tokens"], body["temperature"], body["cache_prompt"]) == (40, 0, False)
        return completion(f"answer {number}")

    found = await ask(handler, [item(number) for number in range(20)], concurrency=3)
    assert found == [f"answer {number}" for number in range(20)]
    assert most == 3


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (lambda: web.Response(status=503, text="loading"), "did not answer t0: status 503"),
        (lambda: web.json_response({"choices": []}), "did not answer t0: no text in the answer"),
        (lambda: web.Response(text="hello"), "did not answer t0: no text in the answer"),
    ],
)
async def test_a_server_that_does_not_answer_the_question_is_named(
    response: Callable[[], web.Response], message: str
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return response()

    with pytest.raises(SupportModelError, match=message):
        await ask(handler, [item(0)])


async def test_a_server_that_is_not_there_is_named() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(SupportModelError, match=f"^{url} did not answer t0"):
        await answers(url, [item(0)])


async def test_no_concurrency_is_refused() -> None:
    with pytest.raises(ValueError, match="concurrency == 0, must be >= 1"):
        await answers("http://127.0.0.1:1", [item(0)], concurrency=0)


def test_the_ladder_shows_each_copy_and_language_in_80_columns() -> None:
    golden = [item(n, language, f"{n % 7}") for n, language in enumerate(["en", "hi-Latn", "hi"] * 100)]
    found = compare(golden, ["yes"] * 300, ["no", "yes", "yes"] * 100)
    out = Console(width=80)
    with out.capture() as capture:
        out.print(ladder({"q4_0": found}))
    lines = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert lines[0] == "Exact match on 300 questions of 7 templates"
    assert "q4_0 100.0 % 66.7 % -33.3 -38.8, -28.2 100/0 7.9e-31 0.0082" in lines
    assert [line.split()[0] for line in lines[4:8]] == ["q4_0", "en", "hi-Latn", "hi"]


async def test_the_real_models_differ_as_their_card_says() -> None:
    """Ranges, not digits: llama.cpp picks its kernels by the CPU."""
    golden = load_golden(GOLDEN).items[::10]
    async with AsyncExitStack() as stack:
        urls = [stack.enter_context(running(kind)) for kind in ("f32", "f32", "q4_0")]
        original, again, small = await asyncio.gather(*(answers(url, golden) for url in urls))
    assert again == original
    found = compare(golden, original, small).overall
    assert 0.90 <= found.accuracy_a <= 0.97
    assert 0.75 <= found.accuracy_b <= 0.88
    assert isinstance(found.interval, Estimate)
    assert found.interval.upper < 0
    assert found.p_cluster < 0.01
