"""An answer that is put together from the pieces of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from experiments.protocols.base import Answered
from experiments.protocols.fields import count

REFUSAL = "refusal"
ERROR = "error"


@dataclass(slots=True)
class Pieces:
    """What has been read of a stream so far."""

    texts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    chunks: int = 0
    """Pieces that stand for a token, whether or not they are part of the text: also of a call or of a thought."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    model: str | None = None
    tool_calls: int | None = None

    def add(self, piece: Any, *, refusal: Any = None) -> None:
        """Add a piece of the answer, or of a refusal to give one; anything but a text adds nothing."""
        if isinstance(piece, str) and piece:
            self.texts.append(piece)
        if isinstance(refusal, str) and refusal:
            self.refusals.append(refusal)

    def report(self, input_tokens: Any, output_tokens: Any) -> None:
        """Take up the tokens that the backend reports; the last report counts."""
        read, written = count(input_tokens), count(output_tokens)
        self.input_tokens = self.input_tokens if read is None else read
        self.output_tokens = self.output_tokens if written is None else written

    def call(self, number: int) -> None:
        """Count calls of tools."""
        self.tool_calls = (self.tool_calls or 0) + number

    def answered(self) -> Answered:
        """Return the answer; without reported tokens, its chunks are counted in their place."""
        estimated = self.output_tokens is None and self.chunks > 0
        texts = self.texts or self.refusals
        # A broken stream stays one: what it had refused until then was not its last word.
        refused = bool(self.refusals) and self.finish_reason != ERROR
        return Answered(
            text="".join(texts) if texts else None,
            finish_reason=REFUSAL if refused else self.finish_reason,
            input_tokens=self.input_tokens,
            output_tokens=self.chunks if estimated else self.output_tokens,
            tokens_estimated=estimated,
            model=self.model,
            tool_calls=self.tool_calls,
        )
