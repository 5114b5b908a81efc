"""The golden set of the embeddings, and their prototypes: the Triton classifier's, as requests of `/v1/embeddings`.

48 queries by hand cannot carry a verdict, so each stands for a cluster of copies in which the fingers slipped: the tag
`query` names the cluster. 8 intents; English, Hinglish (`hi-Latn`) and Hindi, 16 queries each. MiniLM was trained on
English: Hindi is the weak segment that a good average would hide.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from examples.triton.classifier import PROTOTYPES
from examples.triton.golden import QUERIES, slipped

COPIES = 20
_SEED = 9


def items(copies: int = COPIES) -> Iterator[dict[str, Any]]:
    """Yield golden items: each query as it is, and so many copies less one with a slip; the same at every call."""
    chance = random.Random(_SEED)
    for query in _lines(QUERIES):
        for number in range(copies):
            text = slipped(chance, query["prompt"]) if number else query["prompt"]
            yield {
                "id": f"{query['id']}-{number}",
                "request": {"model": "minilm", "input": text},
                "expected": query["expected"],
                "tags": {**query["tags"], "query": query["id"]},
            }


def prototypes() -> Iterator[dict[str, Any]]:
    """Yield the labelled texts that a query is held against."""
    for line in _lines(PROTOTYPES):
        yield {
            "id": line["id"],
            "request": {"model": "minilm", "input": line["prompt"]},
            "expected": line["expected"],
        }


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows as JSON lines and return where they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
