"""A benchmark from beginning to end, on fakes and on the two small real models."""

from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from analysis.result import Estimate
from examples.support_model.catalog import MODELS, file_name
from examples.support_model.data import GOLDEN
from examples.support_model.serve import running
from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenItem
from router.benching.asking import Asking
from router.benching.pairing import BenchError, Pairing, chosen, from_urls
from router.benching.run import run_pair
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving


class Embedding:
    """Embeds by a table: text -> vector."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        text = msgspec.json.decode((await receive())["body"])["input"]
        answer = {"data": [{"embedding": self.vectors[text]}], "usage": {"prompt_tokens": 3}}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.json.encode(answer)})


def labelled(text: str, label: str, **tags: str) -> GoldenItem:
    return GoldenItem(id=text, request={"input": text}, expected=Expected(label=label), tags=tags)


def pair(items: list[GoldenItem], control: str, treatment: str, folder: Path) -> Pairing:
    path = folder / "golden.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(item) + b"\n" for item in items))
    return from_urls(control, treatment, path)


async def test_embeddings_are_held_against_the_prototypes_of_control(tmp_path: Path) -> None:
    """The treatment's own prototypes are never asked for: turned by 90 degrees it would agree with them."""
    control = {"money": [1, 0], "bill": [0, 1], "money back": [2, 1]}
    turned = {text: [-y, x] for text, (x, y) in control.items()}
    prototypes = [labelled("money", "refund"), labelled("bill", "invoice")]

    with serving(Embedding(control)) as one, serving(Embedding(turned)) as other:
        pairing = pair([labelled("money back", "refund", language="en")], one, other, tmp_path)
        found = await run_pair(pairing, Asking(), prototypes=prototypes)

    assert found.accuracy is not None
    assert found.accuracy.by_tag["language"]["en"].only_a == 1
    assert found.likeness is not None
    assert found.likeness.mean == pytest.approx(0.0)
    assert found.speeds["control"].tokens_per_s is not None
    assert found.repeatable


async def test_a_prototype_that_is_not_embedded_is_named(tmp_path: Path) -> None:
    with serving(FakeBackend(Behaviour(status=503))) as url:
        pairing = pair([labelled("money", "refund")], url, url, tmp_path)
        with pytest.raises(BenchError, match=r"^control did not embed prototype bill: status 503$"):
            await run_pair(pairing, Asking(), prototypes=[labelled("bill", "invoice")])


async def test_a_cluster_that_no_item_names_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    pairing = pair([labelled("money", "refund", language="en")], "http://127.0.0.1:1", "http://127.0.0.1:1", tmp_path)

    with pytest.raises(BenchError, match="'template' is a tag of no item; there are: language"):
        await run_pair(pairing, Asking(), cluster_tag="template")


async def test_the_real_models_differ_in_accuracy_and_size_as_their_card_says() -> None:
    """Ranges, not digits: llama.cpp picks its kernels by the CPU."""
    asking = Asking(fields={"temperature": 0, "max_tokens": 40, "cache_prompt": False})
    files = {"control": MODELS / file_name("f32"), "treatment": MODELS / file_name("q4_0")}
    with ExitStack() as stack:
        one, other = (stack.enter_context(running(kind)) for kind in ("f32", "q4_0"))
        pairing = chosen(from_urls(one, other, GOLDEN), 200, seed=1)
        found = await run_pair(pairing, asking, model_files=files, cluster_tag="template")

    assert found.accuracy is not None
    overall = found.accuracy.overall
    assert 0.88 <= overall.accuracy_a <= 0.98
    assert 0.70 <= overall.accuracy_b <= 0.90
    assert isinstance(overall.interval, Estimate)
    assert overall.interval.upper < 0
    assert set(found.accuracy.by_tag) == {"intent", "language"}
    assert found.repeatable
    assert [found.memory[v].model_bytes for v in ("control", "treatment")] == [484_064, 89_824]
    for variant in ("control", "treatment"):
        assert 10e6 < (found.memory[variant].rss_bytes or 0) < 500e6
        assert found.speeds[variant].answered == 200
        assert 0 < found.cpu_ms[variant] < 1000
