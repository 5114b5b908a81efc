"""Embeddings in answers: OpenAI's, Ollama's, and the one tensor of numbers that a Triton server answers. Pure."""

from __future__ import annotations

import math
from typing import Any

from experiments.protocols.base import decode_json
from experiments.protocols.fields import mapping, mappings

Vector = tuple[float, ...]


def vector_in(body: str, answer_text: str | None = None) -> Vector | None:
    """Return the first embedding of an answer; None if it is none.

    Args:
        body: The answer as it came.
        answer_text: What the protocol reads of it, where that may be a list of numbers (Triton); None to look at the
            body alone, because numbers may also be probabilities.

    >>> vector_in('{"data": [{"embedding": [0.25, -0.5]}]}'), vector_in('{"embeddings": [[1, 2]]}')
    ((0.25, -0.5), (1.0, 2.0))
    >>> vector_in("{}", "[0.5,0.5]"), vector_in('{"choices": []}') is None
    ((0.5, 0.5), True)
    """
    whole = mapping(decode_json(body))
    several = whole.get("embeddings")
    candidates: list[Any] = [entry.get("embedding") for entry in mappings(whole.get("data"))[:1]]
    candidates += several[:1] if isinstance(several, list) else []
    candidates += [whole.get("embedding")]
    if answer_text is not None:
        candidates.append(decode_json(answer_text))
    return next((vector for one in candidates if (vector := _numbers(one)) is not None), None)


def _numbers(value: Any) -> Vector | None:
    """Return a flat list of finite numbers; None for anything else."""
    # llama.cpp's older path answers a list of one list: the pooled vector of the whole text.
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or not value:
        return None
    if not all(type(number) in {int, float} and math.isfinite(number) for number in value):
        return None
    return tuple(map(float, value))
