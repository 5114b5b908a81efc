"""Serve a support model with llama.cpp's own OpenAI-compatible server, from the prebuilt wheel `xllamacpp`.

    pip install 'touchstone-router[demo]'
    python -m examples.support_model.serve --model f32 --port 9101

Prints `ready http://127.0.0.1:9101` once it answers, and nothing after that. SIGTERM or SIGINT stops it. Exit code 2
and one line on standard error: the wheel or the model file is missing, the file is not what `SHA256SUMS` says, or the
port is taken. From Python, `running` does the same for the length of a block.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from examples.support_model.catalog import KINDS, MODELS, checked_path
from examples.support_model.errors import SupportModelError, optional

HOST = "127.0.0.1"
INSTALL = "pip install 'touchstone-router[demo]'"
_READY_TIMEOUT_S = 10.0
_REPOSITORY = Path(__file__).parents[2]


@contextmanager
def running(model: str, port: int = 0, name: str | None = None, folder: Path = MODELS) -> Iterator[str]:
    """Serve a model for the length of the block, on a free port unless told otherwise; several at once are fine.

    A process of its own (up in 0.1 s), because xllamacpp cannot stop a server inside a process while a request is in
    flight: it hangs for good. The process also ends when this one does, however that ends.

    Args:
        model: `f32`, `q8_0`, `q5_0` or `q4_0`.
        port: Port on loopback; 0 takes a free one.
        name: What the server calls itself in its answers. Requests may name any model: llama.cpp does not look.
        folder: Folder of the model files.

    Yields:
        The base URL, such as `http://127.0.0.1:40123`; it answers already.

    Raises:
        SupportModelError: The wheel or the file is missing, the file is a wrong one, or the port is taken.
    """
    options = ["--model", model, "--port", str(port), "--models", str(folder.resolve()), "--exit-with-parent"]
    if name is not None:
        options += ["--name", name]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "examples.support_model.serve", *options],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield _ready_url(process, errors)
        finally:
            process.kill()  # there is nothing to save


def _ready_url(process: subprocess.Popen[str], errors: Any) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith("ready "):
        process.wait()
        errors.seek(0)
        raise SupportModelError(errors.read().strip().removeprefix("error: ") or "the model server did not start")
    return line.split()[1]


def serve(model: str, port: int, name: str | None, folder: Path, *, exit_with_parent: bool = False) -> None:
    """Serve until SIGTERM or SIGINT, with `exit_with_parent` also until standard input ends; then end the process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if exit_with_parent:
        threading.Thread(target=_wait_for_end_of_input, args=(stop.set,), daemon=True).start()
    server = start(checked_path(model, folder), port, name or f"support-{model}")
    _wait_until_healthy(server.listening_address)
    print(f"ready {server.listening_address}", flush=True)
    stop.wait()
    os._exit(0)  # see `running`: to let go of the server could hang


def start(path: Path, port: int, name: str) -> Any:
    """Return a running `xllamacpp.Server` of this process.

    Raises:
        SupportModelError: The wheel is missing, the port is taken, or llama.cpp refuses the file.
    """
    xllamacpp = optional("xllamacpp", INSTALL)
    _check_port(port)
    try:
        return xllamacpp.Server(_parameters(xllamacpp, path, port, name))
    except RuntimeError as error:
        raise SupportModelError(f"llama.cpp could not serve {path} on port {port}: {error}") from error


def _parameters(xllamacpp: Any, path: Path, port: int, name: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.model_alias = {name}
    parameters.hostnames = [HOST]
    parameters.port = port
    parameters.n_ctx = 1024
    parameters.n_parallel = 4
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.use_jinja = True  # the chat template inside the model file
    parameters.warmup = False
    parameters.cache_ram_mib = 0  # the default prompt cache grows by tens of MB in a thousand requests
    parameters.verbosity = 0  # nothing is printed per request
    return parameters


def _check_port(port: int) -> None:
    """Refuse a port that is taken: llama.cpp itself only says that it could not start."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise SupportModelError(f"port {port} {reason}") from error


def _wait_until_healthy(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while True:
        try:
            opener.open(f"{url}/health", timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise SupportModelError(f"{url} does not answer after {_READY_TIMEOUT_S:g} s") from error
            time.sleep(0.02)
        else:
            return


def _wait_for_end_of_input(stop: Callable[[], None]) -> None:
    """Read standard input to its end: it comes when the parent that holds the other side is gone, however it ended."""
    # Not sys.stdin: a thread inside its buffer's lock makes the interpreter abort at exit.
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass  # closed already: there is no parent to wait for
    stop()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=KINDS, default="f32", help="which copy (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port on loopback; 0 takes a free one")
    parser.add_argument("--name", help="what the server calls itself in its answers (default: support-MODEL)")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the model files and SHA256SUMS")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when standard input ends, as it does when a parent dies"
    )
    options = parser.parse_args()
    if not 0 <= options.port <= 65535:
        parser.error(f"--port is {options.port}; it must be from 0 to 65535")
    try:
        serve(options.model, options.port, options.name, options.models, exit_with_parent=options.exit_with_parent)
    except SupportModelError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
