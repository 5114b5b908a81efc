"""The real pair of models behind the router: unmodified clients get what they get directly."""

import asyncio
from pathlib import Path

import openai
import pytest
from tests_config import make_config

from examples.support_model.catalog import MODELS
from examples.support_model.serve import running as model_running
from experiments.golden.sets import load_golden
from experiments.model import Phase, Route
from router.app import build_app
from router.fakes.server import serving

pytest.importorskip("xllamacpp", reason="llama.cpp's server is not installed: pip install 'touchstone-router[demo]'")
GOLDEN = load_golden(MODELS.parent / "golden.jsonl").items
QUESTIONS = [item.request["messages"] for item in GOLDEN[::150]]
OPTIONS = {"model": "support", "temperature": 0, "max_tokens": 40, "extra_body": {"cache_prompt": False}}


@pytest.fixture(name="router_url")
def _router_url(tmp_path: Path):
    """A data plane in front of the original on both sides: an A/A pair."""
    with model_running("f32") as control, model_running("f32") as treatment:
        config = make_config(tmp_path / "journal", control, treatment)
        route = Route(
            experiment="support",
            epoch=1,
            phase=Phase.RUNNING,
            split_basis_points=5000,
            mirror_basis_points=5000,
            salt="s",
        )
        app = build_app(config, load_routes=lambda: [route], lookup_exchange=lambda _: None)
        with serving(app) as url:
            yield control, url


async def _answers(base: str) -> list[tuple[str, str]]:
    async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="none") as client:
        found = []
        for messages in QUESTIONS:
            plain = await client.chat.completions.create(messages=messages, **OPTIONS)
            stream = await client.chat.completions.create(messages=messages, stream=True, **OPTIONS)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            found.append((plain.choices[0].message.content, "".join(pieces)))
        return found


def _sync_answers(base: str) -> list[str]:
    with openai.OpenAI(base_url=f"{base}/v1", api_key="none") as client:
        answers = [client.chat.completions.create(messages=messages, **OPTIONS) for messages in QUESTIONS]
    return [answer.choices[0].message.content for answer in answers]


async def test_the_openai_sdk_gets_from_the_model_through_the_router_what_it_gets_directly(router_url) -> None:
    direct, routed = router_url

    assert await _answers(routed) == await _answers(direct)
    assert await asyncio.to_thread(_sync_answers, routed) == await asyncio.to_thread(_sync_answers, direct)
