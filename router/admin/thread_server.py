"""An app served from a thread of this process."""

from __future__ import annotations

import threading
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from experiments.config.serving import Tls
from router.processes.workers import ListenError, bind, load_tls


class ThreadServer:
    """Serves an app for as long as the `with` block lasts.

    Args:
        app: What answers.
        address: `host:port`.
        tls: The certificate, if it is HTTPS.

    Raises:
        ListenError: The port is taken, or the certificate cannot be used.
    """

    def __init__(self, app: ASGIApp, address: str, tls: Tls | None = None) -> None:
        self._socket = bind(address)
        settings = uvicorn.Config(
            app,
            interface="asgi3",
            log_config=None,
            access_log=False,
            ws="none",
            proxy_headers=False,
            server_header=False,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        try:
            load_tls(settings, address)  # here, and not in the thread, where nobody would hear of it
        except ListenError:
            self._socket.close()
            raise
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="pages", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])
