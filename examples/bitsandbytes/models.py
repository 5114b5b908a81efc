"""Loading a Transformers model in one of four ways, with guards against two corruptions that nobody would see.

Both are of bitsandbytes 0.50.2 in 4 bits on a CPU, and neither shows but in wrong answers: no exception, no warning.

1. On CPUs with AVX512_BF16, without double quantization (the default of Transformers): the weights are packed for the
   CPU at the first forward pass and cannot be unpacked. `state_dict()` or `save_pretrained()` after that corrupts all
   later answers, and writes the corrupted model. So 4 bits are loaded with double quantization, and a folder that was
   saved without it is refused.
2. With layers whose columns are a multiple of 16 and not of the block, 64: the CPU's kernel takes wrong scales.
   Measured on a CPU with AVX512 and without BF16: 32 columns have an error of 37 % of the weights' norm, where 9 % is
   what 4 bits cost; so have 16, 48, 80, 96, 160, 1056, 1120; right are 64, 72, 128, 192, 200, 320, 1000. So such
   a model is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from examples.support_model.errors import SupportModelError, optional

INSTALL = "pip install 'touchstone-router[hf]'"
VARIANTS = ("f32", "bf16", "int8", "nf4")
"""The original first. `int8` is LLM.int8(), `nf4` 4-bit NormalFloat with double quantization."""
_QUANTIZED = {"int8", "nf4"}
_BLOCK, _LANES = 64, 16
"""Weights that share a scale, in 4 bits (bitsandbytes' own default), and those that the CPU computes at a time."""


class UnsafeModelError(SupportModelError):
    """A model that would be corrupted without a sign of it."""


def load(folder: Path, variant: str, threads: int = 1) -> tuple[Any, Any]:
    """Return (model, tokenizer), ready to answer.

    Args:
        folder: Of a Transformers model.
        variant: One of `VARIANTS`.
        threads: Of the arithmetic.

    Raises:
        SupportModelError: A package is missing, or the folder holds no model.
        UnsafeModelError: In 4 bits it would answer wrongly without a sign.
    """
    torch, transformers = optional("torch", INSTALL), optional("transformers", INSTALL)
    if not (folder / "config.json").is_file():
        raise SupportModelError(f"{folder} holds no Transformers model: config.json is missing")
    check_saved(json.loads((folder / "config.json").read_text(encoding="utf-8")), str(folder))
    torch.set_num_threads(threads)
    how: dict[str, Any] = {"dtype": torch.float32 if variant == "f32" else torch.bfloat16}
    if variant in _QUANTIZED:
        optional("bitsandbytes", INSTALL)
        optional("accelerate", INSTALL)
        options = quantization(variant) | ({"bnb_4bit_compute_dtype": torch.bfloat16} if variant == "nf4" else {})
        how |= {"quantization_config": transformers.BitsAndBytesConfig(**options), "device_map": device(torch)}
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, **how)
    if variant == "nf4" and device(torch) == "cpu":
        check_columns(_columns(model), str(folder))
    if variant not in _QUANTIZED:
        model = model.to(device(torch))
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def quantization(variant: str) -> dict[str, Any]:
    """Return the options of `BitsAndBytesConfig`.

    >>> quantization("nf4")["bnb_4bit_use_double_quant"]
    True
    """
    if variant == "int8":
        return {"load_in_8bit": True}
    options = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
    check_saved({"quantization_config": options}, variant)
    return options


def check_saved(config: Mapping[str, Any], name: str) -> None:
    """Refuse 4 bits without double quantization.

    Args:
        config: As in a model's `config.json`.
        name: Of the model, for the message.

    Raises:
        UnsafeModelError: It is 4 bits without double quantization.
    """
    options = config.get("quantization_config") or {}
    if options.get("load_in_4bit") and not options.get("bnb_4bit_use_double_quant"):
        raise UnsafeModelError(
            f"{name}: bnb_4bit_use_double_quant is false; on some CPUs state_dict() or save_pretrained() then corrupts "
            "the model without a sign: quantize again with bnb_4bit_use_double_quant=True"
        )


def check_columns(columns: Mapping[str, int], name: str) -> None:
    """Refuse 4 bits on a CPU for layers that its kernel computes wrongly.

    Args:
        columns: Layer -> its inputs.
        name: Of the model, for the message.

    Raises:
        UnsafeModelError: The columns of a layer are a multiple of 16 and not of 64.
    """
    for layer, count in columns.items():
        if count % _BLOCK and count % _LANES == 0:
            raise UnsafeModelError(
                f"{name}: {layer} has {count} columns, a multiple of {_LANES} and not of {_BLOCK}: bitsandbytes "
                "computes it wrongly in 4 bits on a CPU, without a sign; take int8, or a GPU"
            )


def _columns(model: Any) -> dict[str, int]:
    linear = optional("bitsandbytes", INSTALL).nn.Linear4bit
    return {name: layer.in_features for name, layer in model.named_modules() if isinstance(layer, linear)}


def device(torch: Any) -> str:
    """Return the first GPU, else the CPU."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"
