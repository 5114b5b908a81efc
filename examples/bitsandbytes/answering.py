"""One model, one answer at a time: text in, pieces of text out, with the time that the server itself saw it take.

Requests wait for the model in line, and how long each waited is part of its answer, in the shape of llama.cpp's
`timings`: that is what lets a router tell queueing from compute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from examples.bitsandbytes.models import INSTALL
from examples.support_model.errors import optional

Piece = Callable[[str], None]


class Asked(NamedTuple):
    """What to generate."""

    prompt: str
    max_tokens: int = 128
    temperature: float = 0.0
    """0 takes the likeliest token each time."""
    stop: tuple[str, ...] = ()


class Generated(NamedTuple):
    """What came of it."""

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    queue_ms: float
    """Behind other requests."""
    prompt_ms: float
    """From the model's start to the first token."""
    predicted_ms: float
    """From the first token to the last."""

    def timings(self) -> dict[str, float]:
        """Return what an answer carries."""
        return {
            "queue_ms": round(self.queue_ms, 3),
            "prompt_n": self.input_tokens,
            "prompt_ms": round(self.prompt_ms, 3),
            "predicted_n": self.output_tokens,
            "predicted_ms": round(self.predicted_ms, 3),
        }


class Answering:
    """Generates, one request after the other.

    Args:
        model: A causal language model of Transformers.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._torch = optional("torch", INSTALL)
        self._transformers = optional("transformers", INSTALL)
        self._model = model
        self._tokenizer = tokenizer
        self._turn = threading.Lock()

    def chat_prompt(self, messages: list[dict[str, Any]]) -> str:
        """Return what the model reads of a chat, by the template that came with it."""
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def generate(self, asked: Asked, on_piece: Piece = lambda _text: None) -> Generated:
        """Answer; blocks until the model is free and done.

        Args:
            asked: What to generate.
            on_piece: Called with each piece of text as it comes.
        """
        arrived = time.perf_counter()
        with self._turn:
            started = time.perf_counter()
            inputs = self._tokenizer(asked.prompt, return_tensors="pt", add_special_tokens=False).to(self._model.device)
            inputs.pop("token_type_ids", None)
            watch = _Watch(self._tokenizer, on_piece)
            with self._torch.inference_mode():
                output = self._model.generate(**inputs, streamer=watch, **self._how(asked))
            ended = time.perf_counter()
        tokens = output[0, inputs["input_ids"].shape[1] :].tolist()
        first = watch.first_at or ended
        ends = tokens[-1:] == [self._model.generation_config.eos_token_id]
        return Generated(
            text=self._tokenizer.decode(tokens, skip_special_tokens=True),
            finish_reason="length" if len(tokens) >= asked.max_tokens and not ends else "stop",
            input_tokens=int(inputs["input_ids"].shape[1]),
            output_tokens=len(tokens),
            queue_ms=1000 * (started - arrived),
            prompt_ms=1000 * (first - started),
            predicted_ms=1000 * (ended - first),
        )

    def _how(self, asked: Asked) -> dict[str, Any]:
        how: dict[str, Any] = {"max_new_tokens": asked.max_tokens, "do_sample": asked.temperature > 0}
        if asked.temperature > 0:
            how["temperature"] = asked.temperature
        if asked.stop:
            how |= {"stop_strings": list(asked.stop), "tokenizer": self._tokenizer}
        return how


class _Watch:
    """What `generate` hands each token to: notes when the first one came, and passes text on once it is whole."""

    def __init__(self, tokenizer: Any, on_piece: Piece) -> None:
        self._tokenizer = tokenizer
        self._on_piece = on_piece
        self._tokens: list[int] = []
        self._said = ""
        self._prompt_seen = False
        self.first_at: float | None = None

    def put(self, value: Any) -> None:
        """Take the prompt first, then each token."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        if self.first_at is None:
            self.first_at = time.perf_counter()
        self._tokens.extend(value.flatten().tolist())
        text = self._tokenizer.decode(self._tokens, skip_special_tokens=True)
        if not text.endswith("\ufffd"):  # half of a letter: the rest is in the next token
            self._say(text)

    def end(self) -> None:
        """Pass on what is left."""
        self._say(self._tokenizer.decode(self._tokens, skip_special_tokens=True))

    def _say(self, text: str) -> None:
        piece, self._said = text[len(self._said) :], text
        if piece:
            self._on_piece(piece)
