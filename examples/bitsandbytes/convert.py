"""Turn a support model's F32 GGUF file back into the Hugging Face folder that it was exported from.

    python -m examples.bitsandbytes.convert FOLDER

The weights are the shipped ones to the last bit, and nothing is trained: a GGUF file has the shape, the tensors and the
vocabulary; the recipe in `examples.support_model.train` has the rest. The model is the demo's larger sibling
(0.31 million weights): bitsandbytes cannot compute the demo's own 32 columns in 4 bits on a CPU, see `models.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from examples.support_model.catalog import checked_path
from examples.support_model.errors import SupportModelError, optional
from examples.support_model.export import gguf_name
from examples.support_model.train import Recipe, golden_accuracy, new_model, save, train_tokenizer

MODELS = Path(__file__).parents[1] / "llama_cpp" / "models"
KIND = "larger-f32"
INSTALL = "pip install 'touchstone-router[hf]'"
_UNUSED = 5
"""GGUF's type of a token that only fills the vocabulary up."""
_ROTATED = ("q_proj", "k_proj")


def convert(source: Path, folder: Path) -> tuple[Any, Any]:
    """Write the folder; returns (model, tokenizer).

    Raises:
        SupportModelError: A package is not installed.
    """
    torch, gguf = optional("torch", INSTALL), optional("gguf", INSTALL)
    reader = gguf.GGUFReader(source)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    recipe = recipe_of(fields)
    tokenizer = _tokenizer(recipe, fields)
    model = new_model(recipe, tokenizer)
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    state = {
        name: torch.from_numpy(unrotated(name, tensors[gguf_name(name)], recipe.heads).copy())
        for name in model.state_dict()
    }
    model.load_state_dict(state)
    save(model, tokenizer, folder)
    return model, tokenizer


def recipe_of(fields: Mapping[str, Any]) -> Recipe:
    """Return the shape that a GGUF file's metadata states; what only training needs is left as it is."""
    return Recipe(
        vocabulary=int(fields["llama.vocab_size"]),
        hidden=int(fields["llama.embedding_length"]),
        feed_forward=int(fields["llama.feed_forward_length"]),
        layers=int(fields["llama.block_count"]),
        heads=int(fields["llama.attention.head_count"]),
        context=int(fields["llama.context_length"]),
    )


def unrotated(name: str, tensor: Any, heads: int) -> Any:
    """Undo what the export does to query and key: ggml rotates neighbours, Hugging Face the halves of a head.

    Args:
        name: Hugging Face's name of the tensor.
        tensor: A numpy array, [rows, columns] for query and key.
        heads: Of the attention.
    """
    if name.split(".")[-2] not in _ROTATED:
        return tensor
    rows, columns = tensor.shape
    return tensor.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(tensor.shape)


def vocabulary(fields: Mapping[str, Any]) -> dict[str, int]:
    """Return token -> number, without those that only fill it up."""
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    return {
        token: number for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True)) if int(kind) != _UNUSED
    }


def _tokenizer(recipe: Recipe, fields: Mapping[str, Any]) -> Any:
    """Return the tokenizer: the recipe's pre-tokenizer and decoder around the file's vocabulary."""
    models = optional("tokenizers", INSTALL).models
    tokenizer = train_tokenizer(recipe, iter(()))
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer.model = models.BPE(vocabulary(fields), merges)
    return tokenizer


def main() -> None:
    """Convert, and say how many golden answers the result gets right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder for the model")
    parser.add_argument("--check", action="store_true", help="ask the golden set (half a minute)")
    options = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")  # nothing is fetched
    try:
        model, tokenizer = convert(checked_path(KIND, MODELS), options.folder)
    except SupportModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if options.check:
        for language, share in golden_accuracy(model, tokenizer).items():
            print(f"golden, {language}: {100 * share:.1f} % exactly right")


if __name__ == "__main__":
    main()
