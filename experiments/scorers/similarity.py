"""How near the treatment's answer is to control's in meaning, by the embeddings of a server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from experiments.config.asking import Embeddings
from experiments.scorers.asking import Asked, Asking, Failed, Question
from experiments.scorers.base import Answer
from experiments.scorers.sides import against_control

PATH = "/v1/embeddings"


class _Vector(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _Reply(msgspec.Struct):
    data: list[_Vector]


_decode = msgspec.json.Decoder(_Reply).decode


class Similarity:
    """Control scores 1 by definition; the treatment scores the cosine of the two vectors, or 0 if that is negative.

    The same text twice is 1, and a text beside an empty one is 0: neither is asked.

    Args:
        embeddings: The metric's `embeddings = { ... }`.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        self._model = embeddings.model
        self.asking = Asking(
            backend=embeddings.backend,
            sample_percent=embeddings.sample_percent,
            max_calls_per_day=embeddings.max_calls_per_day,
            timeout_s=embeddings.timeout_s,
            retries=embeddings.retries,
            # Vectors prefer nobody: the same server may answer as well.
            may_be_compared=True,
        )
        told = repr((embeddings.backend, embeddings.model)).encode()
        self.version = f"similarity/1:{sha256(told).hexdigest()[:6]}"

    def questions(self, pair: str, control: Answer, treatment: Answer) -> list[Question]:  # noqa: ARG002
        """Return one question for both texts; none where the answers themselves tell."""
        texts = (control.text, treatment.text)
        if not (control.ok and treatment.ok) or None in texts or _plain(*map(str, texts)) is not None:
            return []
        body = {"input": list(texts), "encoding_format": "float"}
        return [Question(PATH, body | ({"model": self._model} if self._model else {}))]

    def read(
        self,
        pair: str,  # noqa: ARG002
        control: Answer,
        treatment: Answer,
        replies: Sequence[bytes],
    ) -> Asked | Failed | None:
        """Score a pair by the server's vectors; None where control failed or has no text."""
        cosine = _cosine(replies[0]) if replies else None
        if isinstance(cosine, Failed):
            return cosine

        def likeness(said: str, like: str) -> float | None:
            plain = _plain(said, like)
            return plain if plain is not None or cosine is None else min(1.0, max(0.0, cosine))

        score = against_control(control, treatment, likeness)
        return None if score is None else Asked(score, {} if cosine is None else {"cosine": round(cosine, 6)})


def _plain(one: str, other: str) -> float | None:
    """Return the score of two texts that need no vectors."""
    if one == other:
        return 1.0
    blanks = [not text.strip() for text in (one, other)]
    return float(all(blanks)) if any(blanks) else None


def _cosine(reply: bytes) -> float | Failed:
    try:
        vectors = sorted(_decode(reply).data, key=lambda vector: vector.index)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failed("no vectors in the reply")
    if len(vectors) != 2 or len(vectors[0].embedding) != len(vectors[1].embedding):
        return Failed("not two vectors of one length in the reply")
    one, other = vectors[0].embedding, vectors[1].embedding
    length = math.hypot(*one) * math.hypot(*other)
    if not (0 < length < math.inf):
        return Failed("a vector has no direction")
    return math.fsum(x * y for x, y in zip(one, other, strict=True)) / length
