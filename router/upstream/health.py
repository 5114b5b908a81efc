"""Active health checks: an endpoint that does not answer them gets no requests until it does again.

Each proxy checks for itself, from where the requests would come. The first check goes out at once; until it has failed
often enough, an endpoint counts as healthy: a router that starts must not wait for backends that are fine.
"""

from __future__ import annotations

import asyncio

import structlog

from experiments.config.serving import Health
from router.errors import OverloadedError, UpstreamError
from router.upstream.endpoint import Endpoint

_log = structlog.get_logger(__name__)
_MOST_BODY_BYTES = 1024 * 1024
"""A longer answer is not read to its end."""


class HealthCheck:
    """The checks of one endpoint.

    Args:
        settings: What to ask, how often, and how many answers decide.
        endpoint: Gets the verdict.
    """

    def __init__(self, settings: Health, endpoint: Endpoint) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._in_a_row = 0
        """Answers of the same kind that contradict the present verdict."""

    def __repr__(self) -> str:
        return f"<HealthCheck of {self._endpoint.url}>"

    async def run(self) -> None:
        """Check for ever."""
        while True:
            self.note(good=await self.ask())
            await asyncio.sleep(self._settings.interval_s)

    def note(self, *, good: bool) -> None:
        """Take one answer; so many in a row turn the verdict."""
        endpoint = self._endpoint
        if good == endpoint.healthy:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        needed = self._settings.healthy_after if good else self._settings.unhealthy_after
        if self._in_a_row < needed:
            return
        self._in_a_row = 0
        endpoint.healthy = good
        _log.warning("endpoint_healthy" if good else "endpoint_unhealthy", backend=endpoint.backend, url=endpoint.url)

    async def ask(self) -> bool:
        """Ask once; whether the answer was 2xx, whole and in time."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return 200 <= await get(self._endpoint, self._settings.path) < 300
        except (UpstreamError, TimeoutError):
            return False
        except OverloadedError:
            return self._endpoint.healthy  # a want of our own says nothing


async def get(endpoint: Endpoint, target: str) -> int:
    """Send a plain GET past all counters and circuits; returns the status of a whole answer.

    Raises:
        UpstreamError: There was none.
        OverloadedError: This process has no file descriptor left.
    """
    answer = await endpoint.transport.open(endpoint.url, "GET", target, _HEADERS, b"")
    try:
        while answer.arrived_bytes < _MOST_BODY_BYTES and await answer.read():
            pass
    except Exception as error:
        ours = answer.translate(error)
        raise (ours or error) from error
    finally:
        answer.close()
    return answer.status


_HEADERS = [(b"user-agent", b"touchstone-check"), (b"accept", b"*/*"), (b"metadata-flavor", b"Google")]
"""The last one is what Google's metadata server wants to see; to others it says nothing."""
