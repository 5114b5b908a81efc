"""What a fake backend does, whatever protocol it is spoken to in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

Answer = Callable[[str], str]


class BrokenOffError(Exception):
    """The script says that the connection ends here."""


def echo(prompt: str) -> str:
    """Answer with the prompt itself: deterministic, so two fakes agree."""
    return f"echo: {prompt[:200]}"


def sometimes_wrong(share: float, seed: int = 0) -> Answer:
    """Answer like `echo`, but wrongly for a share of the prompts: always the same ones for a seed."""

    def answer(prompt: str) -> str:
        wrong = random.Random(f"{seed}:{prompt}").random() < share  # noqa: S311  # reproducible, keeps no secret
        return "wrong" if wrong else echo(prompt)

    return answer


@dataclass
class Behaviour:
    """What a fake backend does; may be changed while it runs."""

    answer: Answer = echo
    delay_ms: float = 0.0
    """Before the response headers."""
    chunks: int = 100
    """Pieces of a streamed answer."""
    chunk_delay_ms: float = 0.0
    tool_calls: int = 0
    """A chat that offers tools is answered with so many calls of the first."""
    status: int = 200
    """Any other status is answered with an error in the shape of the path's protocol."""
    fail_share: float = 0.0
    """Share of the requests that are answered with 500 all the same, drawn at random."""
    cold_start_ms: float = 0.0
    """What the first POST waits longer, as if weights had to be loaded; those that come meanwhile wait with it."""
    hang: bool = False
    """Accept the request and never answer."""
    break_after_chunks: int | None = None
    """Close the connection after so many pieces of a stream (0: before the first)."""

    def draw_status(self) -> int:
        """Return the status of the next answer."""
        failing = self.fail_share > 0 and random.random() < self.fail_share  # noqa: S311  # a fault, not a secret
        return 500 if failing else self.status

    async def pieces(self, text: str) -> AsyncIterator[str]:
        """Cut an answer into pieces, with the time between them.

        Raises:
            BrokenOffError: Where the script says so.
        """
        for number in range(self.chunks):
            if self.break_after_chunks == number:
                raise BrokenOffError
            yield text[number * len(text) // self.chunks : (number + 1) * len(text) // self.chunks]
            await asyncio.sleep(self.chunk_delay_ms / 1e3)
