"""The processes that an example starts: each ended by its pid, last first, and with the example, however that ends."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from examples.support_model.errors import SupportModelError, optional

ROOT = Path(__file__).resolve().parents[1]
_OPENER = build_opener(ProxyHandler({}))  # loopback needs no proxy


class ExampleError(Exception):
    """Something that the user can mend: one clear line. The examples print it and exit with 2."""


def needed(module: str, install: str) -> Any:
    """Import a package that is no dependency of the product.

    Args:
        module: Its name.
        install: The command that installs it.

    Raises:
        ExampleError: It is not installed; the message names the command.
    """
    try:
        return optional(module, install)
    except SupportModelError as error:
        raise ExampleError(str(error)) from error


class Children:
    """Processes with their output in a folder, ended at the end of the block.

    Each has its standard input held by this process: should the example itself be killed, they end on their own.

    Args:
        folder: Where `NAME.log` goes; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __repr__(self) -> str:
        return f"<Children {[name for name, _ in self._running]}>"

    def __enter__(self) -> Children:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in [name for name, _ in reversed(self._running)]:
            self.stop(name)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a command of which `--exit-with-parent` is an option."""
        with (self._folder / f"{name}.log").open("wb") as log:
            # A session of its own: Ctrl-C reaches us alone, and we end the rest in order.
            process = subprocess.Popen(
                [*command, "--exit-with-parent"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append((name, process))

    def stop(self, name: str) -> None:
        """End one."""
        process = next(running for called, running in self._running if called == name)
        self._running = [(called, running) for called, running in self._running if called != name]
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def check(self) -> None:
        """Raise if one of them has ended.

        Raises:
            ExampleError: With the last line that it said.
        """
        for name, process in self._running:
            if process.poll() is not None:
                lines = (self._folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
                raise ExampleError(f"{name} ended: {lines[-1] if lines else f'exit code {process.returncode}'}")

    def wait_for(self, urls: Sequence[str], seconds: float) -> None:
        """Wait until every URL answers with 2xx.

        Raises:
            ExampleError: A process has ended, or one does not answer in time.
        """
        deadline = time.monotonic() + seconds
        for url in urls:
            while not answers(url):
                self.check()
                if time.monotonic() > deadline:
                    raise ExampleError(f"{url} does not answer after {seconds:g} s; see {self._folder}/*.log")
                time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a URL answers with 2xx."""
    try:
        with _OPENER.open(url, timeout=2):
            return True
    except (HTTPError, OSError):
        return False


def fetch(url: str) -> str:
    """Return what a URL on this machine answers.

    Raises:
        ExampleError: It does not.
    """
    try:
        with _OPENER.open(url, timeout=10) as response:
            return str(response.read().decode())
    except OSError as error:
        raise ExampleError(f"{url} does not answer: {error}") from error


def missing_modules(path: Path, modules: tuple[str, ...]) -> list[str]:
    """Return which modules a Python cannot find; none of them is imported.

    Raises:
        ExampleError: It is no Python that runs.
    """
    code = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"
    try:
        found = subprocess.run([path, "-c", code, *modules], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise ExampleError(f"{path} does not run: {error}") from error
    return found.stdout.split()


def wait_for_free(ports: Sequence[int], seconds: float = 10.0) -> None:
    """Wait until ports of loopback are free: a server that was ended may hold its port for seconds.

    Raises:
        ExampleError: One is still taken.
    """
    deadline = time.monotonic() + seconds
    for port in ports:
        while not _is_free(port):
            if time.monotonic() > deadline:
                raise ExampleError(f"port {port} is in use; stop what uses it")
            time.sleep(0.2)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
