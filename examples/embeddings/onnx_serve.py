"""Serve an ONNX embedding model behind OpenAI's `/v1/embeddings`: a small server of our own, for one text a request.

    python -m examples.embeddings.onnx_serve int8.onnx --port 9314

The arithmetic runs in a thread, one request at a time, with one thread of ONNX Runtime: as llama.cpp is served beside
it, so that the engines' figures can stand in one table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from examples.children import ExampleError, wait_for_free
from examples.embeddings.minilm import INSTALL, needed, weights_folder
from examples.support_model.errors import SupportModelError
from examples.triton.classifier import Embedder


def application(model: Path, threads: int = 1) -> web.Application:
    """Return the server of a model.

    Raises:
        ExampleError: A package is not installed, or the file is not there.
    """
    if not model.is_file():
        raise ExampleError(f"{model} is not there")
    try:
        embedder = Embedder(model, threads)
    except SupportModelError as error:
        raise ExampleError(f"{error}; everything at once: {INSTALL}") from error
    tokenizer = needed("tokenizers").Tokenizer.from_file(str(weights_folder() / "tokenizer.json"))
    tokenizer.no_padding()  # its file pads to 128, which would count as tokens
    one_at_a_time = asyncio.Lock()

    async def embeddings(request: web.Request) -> web.Response:
        body = await request.json()
        text = body.get("input") if isinstance(body, dict) else None
        if not isinstance(text, str):
            return web.json_response({"error": {"message": "input must be one text"}}, status=400)
        async with one_at_a_time:
            vectors = await asyncio.to_thread(embedder.embed, [text])
        return web.json_response(_answer(model.stem, vectors[0].tolist(), len(tokenizer.encode(text).ids)))

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.router.add_post("/v1/embeddings", embeddings)
    app.router.add_get("/health", health)
    return app


def _answer(model: str, vector: list[float], tokens: int) -> dict[str, Any]:
    return {
        "object": "list",
        "model": model,
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


async def _serve(app: web.Application, port: int, *, exit_with_parent: bool) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"serving at http://127.0.0.1:{port}", flush=True)
    if exit_with_parent:
        await asyncio.to_thread(sys.stdin.buffer.read)
    else:
        await asyncio.Event().wait()
    await runner.cleanup()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="an ONNX file")
    parser.add_argument("--port", type=int, required=True, help="port on loopback")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when standard input ends, as it does when a parent dies"
    )
    options = parser.parse_args()
    try:
        wait_for_free([options.port], seconds=0)
        app = application(options.file)
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(app, options.port, exit_with_parent=options.exit_with_parent))


if __name__ == "__main__":
    main()
