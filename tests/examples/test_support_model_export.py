"""From a trained folder to model files: names, the order of rows, and what is quantized and what is not."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.support_model.catalog import KINDS, MODELS, checked_path, read_checksums
from examples.support_model.errors import SupportModelError
from examples.support_model.export import Trained, _for_rope, export, gguf_name, main, read_trained

CONFIG = {
    "max_position_embeddings": 64,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 288,
    "eos_token_id": 0,
}
PARTS = {
    "self_attn.q_proj": (64, 64),
    "self_attn.k_proj": (32, 64),
    "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (96, 64),
    "mlp.up_proj": (96, 64),
    "mlp.down_proj": (64, 96),
    "input_layernorm": (64,),
    "post_attention_layernorm": (64,),
}
SHAPES = {
    "model.embed_tokens.weight": (288, 64),
    "model.norm.weight": (64,),
    "lm_head.weight": (288, 64),
    **{f"model.layers.0.{part}.weight": shape for part, shape in PARTS.items()},
}


def trained() -> Trained:
    """What `train` writes, with random numbers for weights."""
    draw = np.random.default_rng(7)
    tensors = {name: draw.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    vocabulary = {f"w{number}": number for number in range(1, 260)}
    tokenizer = {
        "model": {"vocab": vocabulary, "merges": [["w", "1"], "w 2"]},
        "added_tokens": [{"id": 0, "content": "<|end|>"}],
    }
    return Trained(CONFIG, tokenizer, tensors)


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_shipped_model_holds_every_tensor_under_the_name_that_llama_cpp_looks_for() -> None:
    shipped = checked_path("f32").read_bytes()
    names = [name.replace("layers.0.", f"layers.{layer}.") for name in SHAPES for layer in range(4)]

    assert {gguf_name(name) for name in names} == set(
        map(bytes.decode, re.findall(rb"blk\.\d\.\w+\.weight|(?:token_embd|output|output_norm)\.weight", shipped))
    )


@given(layer=st.integers(0, 200), part=st.sampled_from(list(PARTS)))
def test_no_two_tensors_share_a_name(layer: int, part: str) -> None:
    others = [f"model.layers.{other}.{p}.weight" for other in (layer, layer + 1) for p in PARTS]
    mine = f"model.layers.{layer}.{part}.weight"

    assert [name for name in others if gguf_name(name) == gguf_name(mine)] == [mine]
    assert gguf_name(mine).startswith(f"blk.{layer}.")


# --- the order of rows ------------------------------------------------------------------------------------------------


def _halves(vector: np.ndarray, position: int) -> np.ndarray:
    """Rotate as Hugging Face does: the first half of a head against its second half."""
    cos, sin = _angles(len(vector), position)
    first, second = vector[: len(vector) // 2], vector[len(vector) // 2 :]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin])


def _neighbours(vector: np.ndarray, position: int) -> np.ndarray:
    """Rotate as ggml does: each number against the one beside it."""
    cos, sin = _angles(len(vector), position)
    even, odd = vector[::2], vector[1::2]
    return np.stack([even * cos - odd * sin, odd * cos + even * sin], axis=1).ravel()


def _angles(size: int, position: int) -> tuple[np.ndarray, np.ndarray]:
    angles = position / 10_000.0 ** (np.arange(size // 2) * 2 / size)
    return np.cos(angles), np.sin(angles)


@given(seed=st.integers(0, 2**32), at=st.tuples(st.integers(0, 50), st.integers(0, 50)))
def test_a_query_meets_a_key_with_the_same_attention_after_the_rows_are_reordered(seed: int, at: tuple) -> None:
    draw, size = np.random.default_rng(seed), 16
    config = {"num_attention_heads": 2, "num_key_value_heads": 1}
    query, key, x, y = (draw.normal(size=shape) for shape in ((2 * size, 8), (size, 8), (8,), (8,)))

    ours_query = _for_rope("model.layers.0.self_attn.q_proj.weight", query, config) @ x
    ours_key = _for_rope("model.layers.0.self_attn.k_proj.weight", key, config) @ y

    for head in range(2):
        rows = slice(head * size, (head + 1) * size)
        theirs = _halves((query @ x)[rows], at[0]) @ _halves(key @ y, at[1])
        ours = _neighbours(ours_query[rows], at[0]) @ _neighbours(ours_key, at[1])
        assert ours == pytest.approx(theirs)


def test_the_rows_of_every_other_tensor_stay_where_they_are() -> None:
    for name, tensor in trained().tensors.items():
        changed = _for_rope(name, tensor, CONFIG)
        assert np.array_equal(changed, tensor) != name.endswith(("q_proj.weight", "k_proj.weight")), name
        assert np.array_equal(np.sort(changed, axis=0), np.sort(tensor, axis=0)), "rows move, nothing is lost"


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> Path:
    """A folder as `train` writes it."""
    safetensors = pytest.importorskip("safetensors.numpy", reason="exporting needs: pip install '.[train]'")
    made = trained()
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(made.config))
    (folder / "tokenizer.json").write_text(json.dumps(made.tokenizer))
    safetensors.save_file(made.tensors, folder / "model.safetensors")
    return folder


def test_a_trained_folder_is_read_whole(source: Path) -> None:
    found = read_trained(source)

    assert (found.config, found.tokenizer["added_tokens"]) == (CONFIG, [{"id": 0, "content": "<|end|>"}])
    assert found.tensors.keys() == SHAPES.keys()


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_in_which_a_file_is_missing_is_no_trained_model(source: Path, missing: str) -> None:
    (source / missing).unlink()

    with pytest.raises(SupportModelError, match=rf"^{source} is no trained model: .*{missing}.* is missing$"):
        read_trained(source)


def test_a_missing_folder_is_one_line_and_exit_code_2(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = source.with_name("nothing")
    monkeypatch.setattr(sys, "argv", ["export", str(nothing), "--out", str(nothing)])

    with pytest.raises(SystemExit) as caught:
        main()

    out, errors = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    assert errors == f"error: {nothing} is no trained model: {nothing}/config.json is missing\n"
    assert not nothing.exists()


def _read(path: Path) -> tuple[Any, dict[str, Any]]:
    gguf = pytest.importorskip("gguf", reason="exporting needs: pip install '.[train]'")
    reader = gguf.GGUFReader(path)
    return reader, {tensor.name: tensor for tensor in reader.tensors}


def test_every_kind_is_written_with_its_checksum_and_each_is_smaller_than_the_one_before(
    source: Path, tmp_path: Path
) -> None:
    pytest.importorskip("gguf", reason="exporting needs: pip install '.[train]'")
    paths = export(source, tmp_path / "models")

    assert [path.name for path in paths] == [f"support-{kind}.gguf" for kind in KINDS]
    assert read_checksums(tmp_path / "models").keys() == {path.name for path in paths}
    sizes = [path.stat().st_size for path in paths]
    assert sizes == sorted(sizes, reverse=True)
    for kind in KINDS:
        assert checked_path(kind, tmp_path / "models").exists()


def test_matrices_are_quantized_and_norms_stay_as_they_are(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="exporting needs: pip install '.[train]'")
    paths = dict(zip(KINDS, export(source, tmp_path / "models"), strict=True))

    kinds = {kind: {n: t.tensor_type.name for n, t in _read(path)[1].items()} for kind, path in paths.items()}

    for kind in KINDS:
        norms = {name: type_ for name, type_ in kinds[kind].items() if "norm" in name}
        matrices = set(kinds[kind].items()) - set(norms.items())
        assert set(norms.values()) == {"F32"}
        assert {type_ for _, type_ in matrices} == {kind.upper()}
    assert kinds["f32"].keys() == {gguf_name(name) for name in SHAPES}


def test_the_numbers_of_the_original_are_written_bit_by_bit(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="exporting needs: pip install '.[train]'")
    [path] = export(source, tmp_path / "models", ("f32",))
    reader, written = _read(path)

    for name, tensor in trained().tensors.items():
        wanted = _for_rope(name, tensor, CONFIG)
        assert np.array_equal(written[gguf_name(name)].data.reshape(wanted.shape), wanted), name
    tokens = reader.fields["tokenizer.ggml.tokens"]
    assert len(tokens.data) == CONFIG["vocab_size"], "the vocabulary is filled up to its rounded size"


def test_the_shipped_files_are_those_of_the_kinds() -> None:
    assert {path.name for path in MODELS.glob("*.gguf")} == {f"support-{kind}.gguf" for kind in KINDS}
