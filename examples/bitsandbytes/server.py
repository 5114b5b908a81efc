"""A small OpenAI-compatible server for one Transformers model in one precision; a process for each variant.

    pip install 'touchstone-router[hf]'
    python -m examples.bitsandbytes.server --model FOLDER --variant nf4 --port 9744

`/v1/chat/completions` and `/v1/completions` (plain and as server-sent events, with usage), `/v1/models`, `/health`. One
request is computed at a time, and each answer carries how long it waited and was computed (`timings`, as llama.cpp's).
It is for benchmarks on one machine: no batching, no authentication, loopback unless told otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from examples.bitsandbytes.answering import Answering, Asked, Generated
from examples.bitsandbytes.models import INSTALL, VARIANTS, load
from examples.support_model.errors import SupportModelError, optional

_MOST_TOKENS = 4096


class RequestError(ValueError):
    """A request that cannot be answered: the message names the field and the rule."""


class Wanted(NamedTuple):
    """A request, read."""

    asked: Asked
    chat: bool
    stream: bool
    usage: bool
    """Whether a stream ends with its usage."""


def read_request(body: Any, *, chat: bool, answering: Answering) -> Wanted:
    """Read a body.

    Raises:
        RequestError: A field is missing, or not what it must be.
    """
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    if body.get("n") not in {None, 1}:
        raise RequestError(f"n is {body['n']!r}, must be 1")
    most = body.get("max_completion_tokens", body.get("max_tokens")) or 128
    if type(most) is not int or not 1 <= most <= _MOST_TOKENS:
        raise RequestError(f"max_tokens is {most!r}, must be a whole number from 1 to {_MOST_TOKENS}")
    temperature = body.get("temperature", 0)
    if type(temperature) not in {int, float} or not 0 <= temperature <= 2:
        raise RequestError(f"temperature is {temperature!r}, must be from 0 to 2")
    asked = Asked(_prompt(body, answering, chat=chat), most, float(temperature), _stop(body.get("stop")))
    options = body.get("stream_options")
    usage = isinstance(options, dict) and bool(options.get("include_usage"))
    return Wanted(asked, chat, bool(body.get("stream")), usage)


def _prompt(body: dict[str, Any], answering: Answering, *, chat: bool) -> str:
    if not chat:
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            raise RequestError("prompt must be a text that is not empty")
        return prompt
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages must be a list that is not empty")
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise RequestError(f"messages[{place}].content must be a text")
    return answering.chat_prompt(messages)


def _stop(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise RequestError("stop must be a text or a list of texts, none empty")
    return tuple(texts)


class Server:
    """The endpoints.

    Args:
        answering: Holds the model.
        name: What the server calls its model.
        facts: Shown under `/v1/models`.
    """

    def __init__(self, answering: Answering, name: str, facts: dict[str, Any]) -> None:
        self._answering = answering
        self._name = name
        self._facts = facts

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.complete, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/health", self.health),
            ]
        )

    async def health(self, _request: Request) -> Response:
        """Answer: the model is loaded before the server listens."""
        return JSONResponse({"status": "ok"})

    async def models(self, _request: Request) -> Response:
        """List the one model."""
        model = {"id": self._name, "object": "model", "created": 0, "owned_by": "touchstone", "meta": self._facts}
        return JSONResponse({"object": "list", "data": [model]})

    async def chat(self, request: Request) -> Response:
        """Answer a chat."""
        return await self._answer(request, chat=True)

    async def complete(self, request: Request) -> Response:
        """Go on with a text."""
        return await self._answer(request, chat=False)

    async def _answer(self, request: Request, *, chat: bool) -> Response:
        try:
            wanted = read_request(await request.json(), chat=chat, answering=self._answering)
        except (RequestError, json.JSONDecodeError) as error:
            detail = {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}
            return JSONResponse({"error": detail}, 400)
        if wanted.stream:
            return StreamingResponse(self._stream(wanted), media_type="text/event-stream")
        done = await run_in_threadpool(self._answering.generate, wanted.asked)
        return JSONResponse(self._head(wanted) | _whole(wanted, done))

    async def _stream(self, wanted: Wanted) -> AsyncIterator[bytes]:
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        loop, head = asyncio.get_running_loop(), self._head(wanted)

        def say(text: str | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, text)

        def generate() -> Generated:
            try:
                return self._answering.generate(wanted.asked, say)
            finally:
                say(None)

        running = asyncio.ensure_future(run_in_threadpool(generate))
        while (piece := await pieces.get()) is not None:
            yield _event(head | {"choices": [_choice(wanted, piece, None)]})
        done = await running
        yield _event(head | {"choices": [_choice(wanted, "", done.finish_reason)], "timings": done.timings()})
        if wanted.usage:
            yield _event(head | {"choices": [], "usage": _usage(done)})
        yield b"data: [DONE]\n\n"

    def _head(self, wanted: Wanted) -> dict[str, Any]:
        kind = "text_completion" if not wanted.chat else "chat.completion" + (".chunk" if wanted.stream else "")
        prefix = "chatcmpl" if wanted.chat else "cmpl"
        return {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": self._name,
        }


def _whole(wanted: Wanted, done: Generated) -> dict[str, Any]:
    said = {"message": {"role": "assistant", "content": done.text}} if wanted.chat else {"text": done.text}
    choice = {"index": 0, **said, "logprobs": None, "finish_reason": done.finish_reason}
    return {"choices": [choice], "usage": _usage(done), "timings": done.timings()}


def _choice(wanted: Wanted, piece: str, finish_reason: str | None) -> dict[str, Any]:
    delta = {"role": "assistant", "content": piece} if piece else {}
    said = {"delta": delta} if wanted.chat else {"text": piece}
    return {"index": 0, **said, "finish_reason": finish_reason}


def _usage(done: Generated) -> dict[str, int]:
    return {
        "prompt_tokens": done.input_tokens,
        "completion_tokens": done.output_tokens,
        "total_tokens": done.input_tokens + done.output_tokens,
    }


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _end_with_parent() -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass  # closed already
    os._exit(0)


def main() -> None:
    """Load and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a Transformers model")
    parser.add_argument("--variant", choices=VARIANTS, required=True, help="in which precision it is loaded")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of the arithmetic (default: %(default)s)")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    options = parser.parse_args()
    if options.exit_with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")  # nothing is fetched
    try:
        model, tokenizer = load(options.model, options.variant, options.threads)
        # Not by state_dict(): see `examples.bitsandbytes.models`.
        facts = {"variant": options.variant, "size_bytes": model.get_memory_footprint()}
        server = Server(Answering(model, tokenizer), f"{options.model.name}-{options.variant}", facts)
        uvicorn = optional("uvicorn", INSTALL)
    except SupportModelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    uvicorn.run(server.app(), host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
