"""Serve any GGUF file with llama.cpp's own OpenAI-compatible server, from the prebuilt wheel `xllamacpp`.

    python -m examples.llama_cpp.serve model.gguf --port 9301
    python -m examples.llama_cpp.serve minilm.gguf --port 9311 --embeddings

The same settings with llama.cpp's own program: `llama-server -m model.gguf --port 9301 -t 1 -np 4 -c 1024
--cache-ram 0 --metrics`, and `--embeddings` for the second.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from examples.children import ExampleError, wait_for_free
from examples.llama_cpp.quantize import needed

HOST = "127.0.0.1"


def serve(path: Path, port: int, *, embeddings: bool, threads: int, exit_with_parent: bool) -> None:
    """Serve until SIGTERM or SIGINT, with `exit_with_parent` also until standard input ends; then end the process.

    Raises:
        ExampleError: The wheel or the file is missing, the port is taken, or llama.cpp refuses the file.
    """
    xllamacpp = needed("xllamacpp")
    if not path.is_file():
        raise ExampleError(f"{path} is not there")
    wait_for_free([port], seconds=0)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if exit_with_parent:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    try:
        server = xllamacpp.Server(_parameters(xllamacpp, path, port, embeddings=embeddings, threads=threads))
    except RuntimeError as error:
        raise ExampleError(f"llama.cpp could not serve {path} on port {port}: {error}") from error
    print(f"serving {path.name} at {server.listening_address}", flush=True)
    stop.wait()
    # A server that is let go of while a request is in flight hangs for good.
    os._exit(0)


def _parameters(xllamacpp: Any, path: Path, port: int, *, embeddings: bool, threads: int) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.model_alias = {path.stem}
    parameters.hostnames = [HOST]
    parameters.port = port
    parameters.n_ctx = 512 if embeddings else 1024
    parameters.n_parallel = 1 if embeddings else 4
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.use_jinja = not embeddings  # the chat template inside the model file
    parameters.embedding = embeddings
    if embeddings:  # a text must fit into one batch: attention goes both ways
        parameters.n_batch = parameters.n_ubatch = 512
    parameters.warmup = False
    parameters.cache_ram_mib = 0  # the default prompt cache grows by tens of MB in a thousand requests
    parameters.endpoint_metrics = True
    parameters.verbosity = 0  # nothing is printed per request
    return parameters


def _wait_for_end_of_input(stop: threading.Event) -> None:
    """Read standard input to its end: it comes when the parent that holds the other side is gone, however it ended."""
    # Not sys.stdin: a thread inside its buffer's lock makes the interpreter abort at exit.
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass  # closed already: there is no parent to wait for
    stop.set()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a GGUF file")
    parser.add_argument("--port", type=int, required=True, help="port on loopback")
    parser.add_argument("--embeddings", action="store_true", help="an embedding model: /v1/embeddings")
    parser.add_argument("--threads", type=int, default=1, help="of the arithmetic (default: %(default)s)")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when standard input ends, as it does when a parent dies"
    )
    options = parser.parse_args()
    try:
        serve(
            options.file,
            options.port,
            embeddings=options.embeddings,
            threads=options.threads,
            exit_with_parent=options.exit_with_parent,
        )
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
