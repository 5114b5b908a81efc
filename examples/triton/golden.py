"""The golden set of the classifier: 48 queries by hand, each with copies in which the fingers slipped.

48 queries cannot carry a verdict, so each stands for a cluster of copies: the tag `query` names it, and whoever
compares two models resamples clusters, not copies. A golden run reports every value of every tag, so its file is
written without that one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

QUERIES = Path(__file__).with_name("queries.jsonl")
COPIES = 10
_SEED = 9


def request_body(text: str) -> dict[str, Any]:
    """Return what a client sends: KServe v2, one text."""
    return {"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}]}


def slipped(chance: random.Random, text: str) -> str:
    """Return a text with two neighbouring letters swapped, or one dropped or doubled.

    >>> slipped(random.Random(1), "where is my order")
    'wherre is my order'
    """
    place = chance.randrange(1, len(text) - 1)
    kind = chance.choice(("swap", "drop", "double"))
    if kind == "drop":
        return text[:place] + text[place + 1 :]
    if kind == "double":
        return text[: place + 1] + text[place:]
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def items(copies: int = COPIES) -> Iterator[dict[str, Any]]:
    """Yield golden items: each query as it is, and so many copies less one with a slip; the same at every call."""
    chance = random.Random(_SEED)
    for line in QUERIES.read_text(encoding="utf-8").splitlines():
        query = json.loads(line)
        for number in range(copies):
            yield {
                "id": f"{query['id']}-{number}",
                "request": request_body(slipped(chance, query["prompt"]) if number else query["prompt"]),
                "expected": {"exact": query["expected"]["label"]},
                "tags": {**query["tags"], "query": query["id"]},
            }


def write(path: Path, copies: int = COPIES, *, clusters: bool = False) -> Path:
    """Write the set as JSON lines and return where it is.

    Args:
        path: The file; its folder is made if it is not there.
        copies: Of each query.
        clusters: Whether items say of which query they are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = list(items(copies))
    if not clusters:
        chosen = [item | {"tags": {"language": item["tags"]["language"]}} for item in chosen]
    lines = [json.dumps(item, ensure_ascii=False) for item in chosen]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
