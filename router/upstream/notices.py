"""Termination notices: while a configured address answers 200, a backend, or one endpoint of it, gets no new requests.

Spot instances are announced their end at a metadata address, seconds before (AWS: two minutes; Google: thirty seconds).
Each proxy polls for itself, so it works without the store; a notice that is gone lifts the drain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import structlog

from experiments.config.serving import Ejection
from router.errors import OverloadedError, UpstreamError
from router.upstream.endpoint import Endpoint
from router.upstream.health import get
from router.upstream.transports.base import Transport

_log = structlog.get_logger(__name__)
POLL_S = 5.0
"""As AWS advises."""
_TIMEOUT_S = 2.0


class NoticePoll:
    """The poll for one backend, or for one spot instance of it.

    Args:
        backend: Its name.
        url: Answers 200 once there is a notice, and anything else before.
        transport: What carries the question.
        tell: Called with whether there is a notice, when that changes.
        of: URL of the endpoint that it is about; empty for all.
    """

    def __init__(
        self, backend: str, url: str, transport: Transport, tell: Callable[[bool], None], of: str = ""
    ) -> None:
        parts = urlsplit(url)
        self._asked = Endpoint(backend, f"{parts.scheme}://{parts.netloc}", transport, Ejection())
        self._target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._backend = backend
        self._of = of
        self._tell = tell
        self.noticed = False

    def __repr__(self) -> str:
        return f"<NoticePoll of {self._backend}>"

    async def run(self, poll_s: float = POLL_S) -> None:
        """Poll for ever."""
        while True:
            await self.ask()
            await asyncio.sleep(poll_s)

    async def ask(self) -> None:
        """Ask once. An address that does not answer says nothing, so everything stays as it is."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                noticed = await get(self._asked, self._target) == 200
        except (UpstreamError, OverloadedError, TimeoutError):
            return
        if noticed != self.noticed:
            self.noticed = noticed
            event = "termination_noticed" if noticed else "termination_notice_gone"
            _log.warning(event, backend=self._backend, **({"endpoint": self._of} if self._of else {}))
            self._tell(noticed)
