"""Processes: one proxy on a listening socket, and the supervisor that runs N of them and the controller.

The supervisor binds the data port once and hands the socket down, so that a port in use is one clear line. Each child
watches its standard input, of which the parent holds the other end: when the parent is gone, however it went, so are
the children. A child that ends by itself is started again, at growing intervals.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
import uvicorn

from experiments.config.records import Config
from experiments.model import Route
from router.app import build_app
from router.feedback import Lookup
from router.logs import configure_logs

_log = structlog.get_logger(__name__)
_BACKLOG = 2048
_LONGEST_PAUSE_S = 10.0


class ListenError(Exception):
    """An address cannot be listened on; the message says which and why."""


def bind(address: str) -> socket.socket:
    """Return a socket that listens on `host:port`.

    Raises:
        ListenError: The port is in use, or the address is not ours.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), int(port)))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ListenError(f"cannot listen on {address}: {reason}") from error
    return listening


def run_proxy(
    config: Config, fd: int | None, *, load_routes: Callable[[], Sequence[Route]], lookup_exchange: Lookup
) -> None:
    """Run one proxy process until SIGTERM or SIGINT; answers in flight may end within the grace time.

    Args:
        config: What to run.
        fd: An inherited listening socket; None to listen on the configured address.
        load_routes: Reads the route rows.
        lookup_exchange: Exchange id -> experiment.

    Raises:
        ListenError: The address cannot be listened on.
    """
    configure_logs()
    listening = bind(config.router.listen) if fd is None else socket.socket(fileno=fd)
    settings = uvicorn.Config(
        build_app(config, load_routes=load_routes, lookup_exchange=lookup_exchange),
        interface="asgi3",
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=max(1, round(config.router.shutdown_grace_s)),
    )
    uvicorn.Server(settings).run(sockets=[listening])


@dataclass
class _Child:
    """One process to keep alive."""

    name: str
    command: list[str]
    fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = field(default=0.0)
    not_before: float = 0.0

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, pass_fds=self.fds)  # noqa: S603

    def tend(self, now: float) -> None:
        """Start the process again if it ended, at growing intervals."""
        if self.process is not None and self.process.poll() is not None:
            _log.error("process_ended", process=self.name, code=self.process.returncode)
            self.failures = 1 if now - self.started_at > _LONGEST_PAUSE_S else self.failures + 1
            self.not_before = now + min(_LONGEST_PAUSE_S, 0.1 * 2 ** min(self.failures, 10))
            self.process = None
        if self.process is None and now >= self.not_before:
            self.start()

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, timeout: float) -> None:
        """Wait for the process to end; kill it when the time is over."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            _log.error("process_killed", process=self.name, reason="it did not stop within the grace time")
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Runs the proxies and the controller of one machine.

    Args:
        config: What to run.

    Raises:
        ListenError: The data port or the admin port cannot be listened on.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stop = threading.Event()
        # The controller binds the admin port itself; asking now turns a taken port into one line instead of a loop.
        bind(config.router.admin).close()
        self._socket = bind(config.router.listen)
        self._socket.set_inheritable(True)
        command = [sys.executable, "-m", "router"]
        options = ["--config", str(config.path), "--exit-with-parent"]
        fd = self._socket.fileno()
        self._controller = _Child("controller", [*command, "control", *options])
        self._proxies = [
            _Child(f"proxy-{n}", [*command, "proxy", *options, "--fd", str(fd)], (fd,))
            for n in range(config.router.workers)
        ]

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; returns the exit code."""
        configure_logs()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        _log.info("serving", listen=self._config.router.listen, workers=len(self._proxies))
        try:
            while not self._stop.is_set():
                for child in (self._controller, *self._proxies):
                    child.tend(time.monotonic())
                self._stop.wait(0.2)
        finally:
            self._shut_down()
        return 0

    def _shut_down(self) -> None:
        """Proxies first: the controller stays to load what they still write."""
        grace = self._config.router.shutdown_grace_s + 5
        for children in (self._proxies, [self._controller]):
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.wait(grace)
        self._socket.close()
