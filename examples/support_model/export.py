"""Turn a trained Hugging Face folder into the GGUF files that llama.cpp serves, quantized copies included.

    pip install '.[train]'
    python -m examples.support_model.export support-hf --out models

Quantizes with gguf-py's own numpy code, so no llama.cpp tools are needed. Matrices are quantized, norms stay F32.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import track

from examples.support_model.catalog import KINDS, file_name, write_checksums
from examples.support_model.data import CHAT_TEMPLATE
from examples.support_model.errors import SupportModelError, optional

INSTALL = "pip install '.[train]'"

_TOP_TENSORS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_BLOCK_TENSORS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
"""Names inside a layer: Hugging Face -> GGUF."""


@dataclass(frozen=True)
class Trained:
    """What `train` wrote."""

    config: dict[str, Any]
    tokenizer: dict[str, Any]
    tensors: dict[str, Any]


def export(source: Path, out: Path, kinds: tuple[str, ...] = KINDS) -> list[Path]:
    """Write one GGUF file a kind, and `SHA256SUMS`."""
    trained = read_trained(source)
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / file_name(kind) for kind in kinds]
    for kind, path in track(list(zip(kinds, paths, strict=True)), description="exporting"):
        write_gguf(trained, path, kind)
    write_checksums(out, [path.name for path in paths])
    return paths


def read_trained(source: Path) -> Trained:
    """Read the folder that `train` wrote.

    Raises:
        SupportModelError: A file of it is missing, or safetensors is not installed.
    """
    load_file = optional("safetensors.numpy", INSTALL).load_file
    try:
        return Trained(
            config=json.loads((source / "config.json").read_text()),
            tokenizer=json.loads((source / "tokenizer.json").read_text()),
            tensors=load_file(source / "model.safetensors"),
        )
    except FileNotFoundError as error:
        raise SupportModelError(f"{source} is no trained model: {error.filename or error} is missing") from error


def write_gguf(trained: Trained, path: Path, kind: str) -> None:
    """Write one GGUF file of the kind `f32`, `q8_0`, `q5_0` or `q4_0`."""
    gguf = optional("gguf", INSTALL)
    writer = gguf.GGUFWriter(path, "llama")
    _add_shape(writer, trained.config)
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if kind == "f32" else f"MOSTLY_{kind.upper()}"])
    _add_tokenizer(writer, gguf.TokenType, trained)
    quantization = gguf.GGMLQuantizationType[kind.upper()]
    for name, tensor in trained.tensors.items():
        _add_tensor(writer, gguf_name(name), _for_rope(name, tensor, trained.config), quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str:
    """Return the GGUF name of a Hugging Face tensor.

    >>> gguf_name("model.layers.3.mlp.up_proj.weight")
    'blk.3.ffn_up.weight'
    """
    if name in _TOP_TENSORS:
        return _TOP_TENSORS[name]
    layer, _, part = name.removeprefix("model.layers.").removesuffix(".weight").partition(".")
    return f"blk.{layer}.{_BLOCK_TENSORS[part]}.weight"


def _add_shape(writer: Any, config: dict[str, Any]) -> None:
    writer.add_name("tiny-support-json")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config["vocab_size"])


def _add_tokenizer(writer: Any, kinds: Any, trained: Trained) -> None:
    model = trained.tokenizer["model"]
    words = {number: word for word, number in model["vocab"].items()}
    special = {added["id"]: added["content"] for added in trained.tokenizer["added_tokens"]}
    tokens, types = [], []
    for number in range(trained.config["vocab_size"]):
        if number in special:
            token, type_ = special[number], kinds.CONTROL
        elif number in words:
            token, type_ = words[number], kinds.NORMAL
        else:  # the vocabulary is rounded up to a multiple of 32
            token, type_ = f"[PAD{number}]", kinds.UNUSED
        tokens.append(token)
        types.append(type_)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]])
    writer.add_eos_token_id(trained.config["eos_token_id"])
    writer.add_pad_token_id(trained.config["eos_token_id"])
    writer.add_add_bos_token(False)  # noqa: FBT003  # gguf-py's signature
    writer.add_chat_template(CHAT_TEMPLATE)


def _for_rope(name: str, tensor: Any, config: dict[str, Any]) -> Any:
    """Reorder the rows of query and key: Hugging Face rotates halves of a head, ggml rotates neighbours."""
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    part = name.split(".")[-2]
    if part not in heads:
        return tensor
    count = config[heads[part]]
    halves = tensor.reshape(count, 2, tensor.shape[0] // count // 2, tensor.shape[1])
    return halves.swapaxes(1, 2).reshape(tensor.shape)


def _add_tensor(writer: Any, name: str, tensor: Any, quantization: Any) -> None:
    quants = optional("gguf.quants", INSTALL)
    tensor = tensor.astype("float32")
    if tensor.ndim == 1 or quantization.name == "F32":
        writer.add_tensor(name, tensor)
    else:
        writer.add_tensor(name, quants.quantize(tensor, quantization), raw_dtype=quantization)


def main() -> None:
    """Read the options and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder that `train` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for the GGUF files and SHA256SUMS")
    options = parser.parse_args()
    try:
        paths = export(options.source, options.out)
    except SupportModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for path in paths:
        print(f"{path}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
