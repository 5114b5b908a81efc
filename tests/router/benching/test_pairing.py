"""Which pair on what: from an experiment, or from two URLs."""

from pathlib import Path

import pytest
from tests_config import make_config

from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenItem
from router.benching.pairing import BenchError, asking_of, chosen, from_experiment, from_urls, path_of, prototype_items
from router.golden.runs import NoGoldenSetError

LINE = '{"id": "%d", "request": {"%s": "q%d"}, "expected": {"label": "refund"}}\n'


def golden(folder: Path, shape: str = "input", count: int = 3) -> Path:
    path = folder / f"{shape}.jsonl"
    path.write_text("".join(LINE % (n, shape, n) for n in range(count)))
    return path


def item(*shapes: str) -> GoldenItem:
    return GoldenItem(id="x", request=dict.fromkeys(shapes, "q"), expected=Expected(exact=""))


@pytest.mark.parametrize(
    ("shape", "protocol", "path"),
    [
        ("messages", "openai", "/v1/chat/completions"),
        ("prompt", "openai", "/v1/completions"),
        ("input", "openai", "/v1/embeddings"),
        ("input", "ollama", "/api/embed"),
    ],
)
def test_the_items_tell_where_they_are_posted(shape: str, protocol: str, path: str) -> None:
    assert path_of([item(shape)], protocol) == path


@pytest.mark.parametrize(
    ("items", "protocol", "says"),
    [
        (
            [item("input"), item("messages")],
            "openai",
            "openai requests with input and messages are posted: give --path",
        ),
        ([item("inputs")], "triton", "triton requests with neither messages, prompt nor input are posted"),
    ],
)
def test_what_items_do_not_tell_must_be_given(items: list[GoldenItem], protocol: str, says: str) -> None:
    with pytest.raises(BenchError, match=says):
        path_of(items, protocol)


def test_two_urls_and_a_golden_set_are_a_pair(tmp_path: Path) -> None:
    found = from_urls("http://a:1/", "http://b:1", golden(tmp_path))

    assert found.urls == {"control": ("http://a:1",), "treatment": ("http://b:1",)}
    assert found.targets["treatment"].next_url() == "http://b:1/v1/embeddings"
    assert len(found.items) == 3


def test_what_is_no_url_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="--treatment 'b:1' is no URL"):
        from_urls("http://a:1", "b:1", golden(tmp_path))


def test_an_experiment_brings_its_backends_path_model_and_golden_set(tmp_path: Path) -> None:
    path = golden(tmp_path, "prompt")
    config = make_config(tmp_path, "http://a:1", "http://b:1", golden=path)

    found = from_experiment(config, config.experiments["support"])

    assert found.targets["control"].next_url() == "http://a:1/v1/chat/completions"
    assert len(found.items) == 3
    assert asking_of(config).total_timeout_s == min(
        config.router.total_timeout_s, 2 * config.router.first_byte_timeout_s
    )


def test_an_experiment_without_a_golden_set_needs_one(tmp_path: Path) -> None:
    config = make_config(tmp_path, "http://a:1", "http://b:1")

    with pytest.raises(NoGoldenSetError, match="names no golden set"):
        from_experiment(config, config.experiments["support"])
    assert from_experiment(config, config.experiments["support"], golden(tmp_path)).items


def test_fewer_items_are_drawn_and_the_same_ones_for_a_seed(tmp_path: Path) -> None:
    pairing = from_urls("http://a:1", "http://b:1", golden(tmp_path, count=50))

    one, again, other = (chosen(pairing, 5, seed).items for seed in (1, 1, 2))

    assert one == again != other
    assert len({drawn.id for drawn in one}) == 5
    assert chosen(pairing, None, 1) is pairing


def test_a_prototype_without_a_label_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prototypes.jsonl"
    path.write_text('{"id": "p7", "request": {"input": "q"}, "expected": {"exact": "x"}}\n')

    with pytest.raises(BenchError, match=r"prototype p7 has no expected\.label"):
        prototype_items(path, "openai")
