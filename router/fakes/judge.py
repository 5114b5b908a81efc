"""A SCRIPTED judge, and scripted embeddings, over OpenAI's API: for tests, demos and readers. It understands nothing.

    python -m router.fakes.judge --port 9109 --rule longer

It takes the request and the two answers from the data sections of the prompt and from nowhere else, as the prompt's
format promises, and picks by a rule. A real model reads everything and may be fooled; see docs/judge.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from starlette.types import Receive, Scope, Send

from router.fakes import wire
from router.fakes.openai import error

_SECTION = re.compile(r"^<data ([0-9a-f]{16}) (request|answer A|answer B)>\n(.*)\n</data \1 \2>$", re.MULTILINE)
_DIMENSIONS = 64


class Shown(NamedTuple):
    """What stands in the data sections."""

    request: str
    answer_a: str
    answer_b: str


Rule = Callable[[Shown], str]
"""Returns `A`, `B` or `tie`."""


class UnreadablePromptError(ValueError):
    """A prompt that is not as its format promises."""


def longer(shown: Shown) -> str:
    """Prefer the longer answer."""
    return _by(len(shown.answer_a), len(shown.answer_b))


def first(shown: Shown) -> str:  # noqa: ARG001
    """Prefer the one that is shown first, whatever it says: a judge that judges the position."""
    return "A"


def containing(word: str) -> Rule:
    """Prefer the answer that contains a word."""

    def rule(shown: Shown) -> str:
        return _by(word in shown.answer_a, word in shown.answer_b)

    return rule


def _by(a: int, b: int) -> str:
    return "tie" if a == b else "A" if a > b else "B"


def read_prompt(messages: list[dict[str, str]]) -> Shown:
    """Take the data out of a judge's prompt.

    Raises:
        UnreadablePromptError: There are not exactly the three sections, or their number is not the one that the
            instructions name.
    """
    system, user = messages[0]["content"], messages[-1]["content"]
    sections = _SECTION.findall(user)
    names, numbers = [name for _, name, _ in sections], {number for number, _, _ in sections}
    if names != ["request", "answer A", "answer B"] or len(numbers) != 1 or not all(n in system for n in numbers):
        raise UnreadablePromptError(f"sections: {names}, numbers: {len(numbers)}")
    return Shown(*(json.loads(text) for _, _, text in sections))


@dataclass
class ScriptedJudge:
    """An ASGI app.

    Args:
        rule: What it prefers.
        fail_share: Of the calls, by their number: answered with 500.
        limited: So many calls are answered with 429 first, and `Retry-After: retry_after_s`.
        retry_after_s: See `limited`.
        delay_ms: Before each answer.
        wrapped: What stands around the verdict's JSON: `{}` is its place.
    """

    rule: Rule = longer
    fail_share: float = 0.0
    limited: int = 0
    retry_after_s: str = "0"
    delay_ms: float = 0.0
    wrapped: str = "{}"
    calls: int = 0
    now: int = 0
    """Calls on their way."""
    most: int = 0
    """The most calls that were on their way at a time."""
    shown: list[Shown] = field(default_factory=list)
    """What was judged, in order."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = wire.decode(await wire.read_body(receive))
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.delay_ms * 1e-3)
            await self._answer(scope["path"], request, send)
        finally:
            self.now -= 1

    async def _answer(self, path: str, request: Any, send: Send) -> None:
        if self.calls <= self.limited:
            body = json.dumps(error("scripted: too many requests")).encode()
            await wire.whole(send, 429, b"application/json", body, (b"retry-after", self.retry_after_s.encode()))
        elif (self.calls * self.fail_share) % 1 + self.fail_share >= 1:
            await wire.json(send, 500, error("scripted failure"))
        elif path.endswith("/embeddings"):
            await wire.json(send, 200, _embedded(request["input"]))
        else:
            await wire.json(send, 200, self._judged(request["messages"]))

    def _judged(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        shown = read_prompt(messages)
        self.shown.append(shown)
        verdict = json.dumps({"reason": "scripted", "verdict": self.rule(shown)})
        message = {"role": "assistant", "content": self.wrapped.replace("{}", verdict)}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return {"id": "fake-1", "object": "chat.completion", "model": "scripted", "choices": [choice], "usage": usage}


def _embedded(texts: list[str]) -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
    usage = {"prompt_tokens": sum(len(text.split()) for text in texts)}
    return {"object": "list", "model": "scripted", "data": data, "usage": usage}


def vector(text: str) -> list[float]:
    """Return a vector that counts a text's words, each at a place that its hash says: likeness, not meaning."""
    counts = [0.0] * _DIMENSIONS
    for word in text.casefold().split():
        counts[sha256(word.encode()).digest()[0] % _DIMENSIONS] += 1.0
    return counts


def main() -> None:
    """Serve until stopped."""
    import uvicorn  # noqa: PLC0415  # tests serve it by other means

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rule", choices=("longer", "first", "containing"), default="longer")
    parser.add_argument("--word", default="", help="for --rule containing")
    parser.add_argument("--fail-share", type=float, default=0.0, help="share of the calls that are answered with 500")
    options = parser.parse_args()
    rules: dict[str, Rule] = {"longer": longer, "first": first, "containing": containing(options.word)}
    print(f"scripted judge on port {options.port}: its verdicts are SIMULATED", flush=True)
    app = ScriptedJudge(rules[options.rule], fail_share=options.fail_share)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False, ws="none")


if __name__ == "__main__":
    main()
