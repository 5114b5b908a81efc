"""One proxy process on a listening socket."""

from __future__ import annotations

import gc
import os
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import uvicorn

from experiments.config.records import Config
from experiments.model import Drain, Route
from router.app import build_app
from router.feedback import Lookup
from router.front.server import FrontDoor
from router.processes.server import ProxyServer
from router.telemetry.logs import configure_logs
from router.upstream.upstream import trust_of

_BACKLOG = 2048
_SWITCH_S = 0.000_5
"""How long the traffic's thread waits for one that polls the store, or writes figures, to let go of the interpreter; at
Python's 5 ms such a thread shows in the users' 99th percentile."""


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
    config: Config,
    fd: int | None,
    *,
    load_routes: Callable[[], Sequence[Route]],
    lookup_exchange: Lookup,
    load_drains: Callable[[], Sequence[Drain]] = lambda: (),
    ready_fd: int | None = None,
) -> None:
    """Run one proxy process until SIGTERM or SIGINT; answers in flight may end within the grace time.

    Args:
        config: What to run.
        fd: An inherited listening socket, which other processes serve too; None to listen on the configured address.
        load_routes: Reads the route rows.
        lookup_exchange: Exchange id -> experiment.
        load_drains: Reads what is being drained.
        ready_fd: A pipe on which to say that requests are served; it is closed then.

    Raises:
        ListenError: The address cannot be listened on, or the certificate cannot be used.
        SecretError: A secret cannot be had.
        CertificateError: The certificates that a backend is to be verified with cannot be used.
        TracingUnavailableError: Traces are configured, and the extra is not installed.
    """
    configure_logs()
    _allow_all_descriptors()
    listening = bind(config.router.listen) if fd is None else socket.socket(fileno=fd)
    door = FrontDoor(config.router.clients)
    for backend in config.backends.values():
        trust_of(backend.tls)  # here, where it can still be told plainly
    tls = config.router.tls
    app = build_app(
        config,
        load_routes=load_routes,
        lookup_exchange=lookup_exchange,
        load_drains=load_drains,
        on_ready=lambda: _tell(ready_fd),
        refused_before=door.counters.refused,
    )
    settings = uvicorn.Config(
        app,
        interface="asgi3",
        loop="uvloop",
        http=cast(Any, door),  # uvicorn only calls it
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    load_tls(settings, config.router.listen)
    _collect_seldom()
    sys.setswitchinterval(_SWITCH_S)
    grace_s = config.router.shutdown_grace_s
    ProxyServer(settings, door, app.probes, grace_s, owns_port=fd is None).run(sockets=[listening])


def load_tls(settings: uvicorn.Config, address: str) -> None:
    """Load what a server needs, so that a bad certificate is told before it starts.

    Raises:
        ListenError: The certificate or its key cannot be used.
    """
    try:
        settings.load()
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise ListenError(f"cannot serve https on {address}: {reason}") from error


def _collect_seldom() -> None:
    """Keep the garbage collector from looking at what stays for ever, and let it look less often at the rest.

    Requests leave hardly any cycles behind; at its defaults the collector takes a twentieth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _allow_all_descriptors() -> None:
    """Raise the soft limit on open files to the hard one: each client and each backend connection takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _tell(ready_fd: int | None) -> None:
    if ready_fd is not None:
        os.write(ready_fd, b"ready")
        os.close(ready_fd)
