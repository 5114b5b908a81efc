"""A model and its quantized copy: real answers, outcomes, evidence and `touchstone pairs` agree on what differs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack

import openai
import pytest
from rich.console import Console
from tests_config import make_config

from examples.support_model.catalog import MODELS
from examples.support_model.serve import running as model_running
from experiments.config.records import Config, Guardrail, Policy
from experiments.controller import Controller
from experiments.evidence import MetricEvidence
from experiments.golden.sets import load_golden
from experiments.journal.recorder import Recorder
from experiments.pairs.reader import Pair, PairQuery, PairReader
from experiments.store import Store, open_store
from router.app import build_app
from router.fakes.server import serving
from router.pairs_view import pairs_view

pytest.importorskip("xllamacpp", reason="llama.cpp's server is not installed: pip install 'touchstone-router[demo]'")
QUESTIONS = [item.request["messages"] for item in load_golden(MODELS.parent / "golden.jsonl").items[::50]]


@pytest.fixture(name="lived", scope="module")
def _lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Config, Store]]:
    """The questions, answered by both models through the router, recorded, scored and looked at."""
    folder = tmp_path_factory.mktemp("pairs")
    with ExitStack() as stack:
        models = [stack.enter_context(model_running(kind)) for kind in ("f32", "q4_0")]
        config = make_config(
            folder / "journal",
            *models,
            settings={"database": f"sqlite:///{folder / 'touchstone.db'}"},
            mirror_percent=100.0,
            guardrails=(
                Guardrail(name="agreement", scorer="agreement", margin=0.2),
                Guardrail(name="errors", max_relative=1.2, margin=0.01),
            ),
            policy=Policy(settle_seconds=0, min_days=0, stage_min_minutes=0),
        )
        store = open_store(config.router.database)
        stack.callback(store.close)
        controller = Controller(config, store, Recorder(config, store))
        controller.start(time.time())
        app = build_app(config, load_routes=store.routes, lookup_exchange=store.find_exchange)
        with serving(app) as url:
            asyncio.run(_ask(f"{url}/v1"))
        # Its journal is closed: every mirrored answer is in it.
        controller.tick(time.time() + 10.0)
        yield config, store


async def _ask(base: str) -> None:
    async with openai.AsyncOpenAI(base_url=base, api_key="none") as client:
        for number, messages in enumerate(QUESTIONS):
            await client.chat.completions.create(
                model="support",
                messages=messages,
                temperature=0,
                max_tokens=40,
                extra_headers={"x-user-id": f"user-{number}", "x-language": "en"},
            )


def _evidence(store: Store) -> MetricEvidence:
    look = store.latest_look("support", 1)
    assert look is not None
    return next(row for row in look.evidence.metrics if row.metric == "agreement" and not row.slice)


def test_answers_outcomes_evidence_and_pairs_agree_on_which_pairs_differ(lived: tuple[Config, Store]) -> None:
    _, store = lived
    reader = PairReader(store.engine)
    everything = [*reader.each(PairQuery("support", 1), 1_000)]
    told = [*reader.each(PairQuery("support", 1, "agreement", disagreeing=True), 1_000)]

    differ = {pair.pair for pair in everything if _text(pair.control.answer) != _text(pair.treatment.answer)}
    scored = store.outcomes("support", 1, 0, store.watermarks().outcome)
    evidence = _evidence(store)

    assert len(everything) == len(QUESTIONS)
    assert 0 < len(differ) < len(QUESTIONS)
    assert {o.pair for o in scored if o.metric == "agreement" and o.value != 0} == differ
    assert {pair.pair for pair in told} == differ
    assert evidence.losses + evidence.wins == len(differ)
    assert all(_prompt_is_asked(pair) for pair in told)


def test_the_command_shows_them_with_the_words_marked_that_differ(lived: tuple[Config, Store]) -> None:
    _, store = lived
    page = PairReader(store.engine).page(PairQuery("support", 1, "agreement", disagreeing=True, limit=5))
    out = Console(width=200, force_terminal=True, color_system="truecolor")

    with out.capture() as capture:
        for part in pairs_view(page, "agreement").parts:
            out.print(part)

    assert 0 < len(page.pairs) <= 5
    assert all(pair.pair in capture.get() for pair in page.pairs)
    assert capture.get().count("\x1b[1;31m") + capture.get().count("\x1b[1;32m") >= len(page.pairs)


def _text(answer: str | None) -> str:
    assert answer is not None
    return answer.strip()


def _prompt_is_asked(pair: Pair) -> bool:
    return any(pair.prompt is not None and messages[-1]["content"] in pair.prompt for messages in QUESTIONS)
