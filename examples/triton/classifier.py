"""The classifier that Triton serves: a query's intent is that of the nearest prototype, by the cosine of embeddings.

Runs in the server's own virtual environment. As a command it makes all that the servers read:

    PYTHON -m examples.triton.classifier FOLDER

The prototypes are embedded once, by the F32 model, and kept in `index.npz`: the quantized copies are asked against the
index that the original filled, as they would be in production.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from examples.support_model.errors import SupportModelError, optional
from examples.triton.onnx_model import INSTALL, build, weights_folder

PROTOTYPES = Path(__file__).with_name("prototypes.jsonl")
INDEX = "index.npz"
_MOST_TOKENS = 128


class Embedder:
    """Texts -> vectors of length 1.

    Args:
        model: The ONNX file.
        threads: Of the arithmetic of one call.

    Raises:
        SupportModelError: A package is not installed.
    """

    def __init__(self, model: Path, threads: int = 1) -> None:
        runtime = optional("onnxruntime", INSTALL)
        self._numpy = optional("numpy", INSTALL)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._tokenizer = optional("tokenizers", INSTALL).Tokenizer.from_file(str(weights_folder() / "tokenizer.json"))
        self._tokenizer.enable_padding()
        self._tokenizer.enable_truncation(_MOST_TOKENS)

    def embed(self, texts: Sequence[str]) -> Any:
        """Return float32 [texts, 384]."""
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = self._numpy.array([one.ids for one in encoded], self._numpy.int64)
        mask = self._numpy.array([one.attention_mask for one in encoded], self._numpy.int64)
        return self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


class Classifier:
    """Texts -> intents.

    Args:
        model: The ONNX file.
        index: What `write_index` wrote.
    """

    def __init__(self, model: Path, index: Path) -> None:
        self._embedder = Embedder(model)
        kept = optional("numpy", INSTALL).load(index)
        self._labels, self._vectors = [str(label) for label in kept["labels"]], kept["vectors"]

    def labels(self, texts: Sequence[str]) -> list[str]:
        """Return the intent of each text."""
        nearest = (self._embedder.embed(texts) @ self._vectors.T).argmax(axis=1)
        return [self._labels[place] for place in nearest]


def write_index(model: Path, index: Path) -> None:
    """Embed the prototypes and write, for each intent, the mean of its prototypes at length 1."""
    numpy = optional("numpy", INSTALL)
    items = [json.loads(line) for line in PROTOTYPES.read_text(encoding="utf-8").splitlines()]
    vectors = Embedder(model).embed([item["prompt"] for item in items])
    of_item = numpy.array([item["expected"]["label"] for item in items])
    labels = sorted(set(of_item))
    means = numpy.stack([vectors[of_item == label].mean(axis=0) for label in labels])
    numpy.savez(index, labels=labels, vectors=means / numpy.linalg.norm(means, axis=1, keepdims=True))


def main() -> None:
    """Build the models and the index."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go; those that are there are kept")
    folder = parser.parse_args().folder
    try:
        paths = build(folder)
        if not (folder / INDEX).exists():
            write_index(paths[0], folder / INDEX)
    except SupportModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for path in [*paths, folder / INDEX]:
        print(f"{path.name} {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
