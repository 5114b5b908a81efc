"""A proxy process ends so that no request is lost: it says that it ends, and closes its port when that is known."""

from __future__ import annotations

import asyncio
import http.client
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from tests_door import echo
from tests_process import ProxyProcess, proxy_process

from experiments.config.serving import ClientLimits
from router.fakes.backend import FakeBackend
from router.fakes.server import serving
from router.front.probes import Probes
from router.front.server import FrontDoor
from router.processes.server import ProxyServer
from router.processes.workers import bind

HEALTH = "/_touchstone/healthz"


@pytest.fixture(name="proxy")
def _proxy(tmp_path: Path) -> Iterator[ProxyProcess]:
    with serving(FakeBackend()) as url, proxy_process(tmp_path, url) as running:
        yield running


def health(running: ProxyProcess) -> int:
    """Ask for the health; the status, 0 if the port is closed."""
    try:
        with urllib.request.urlopen(running.url + HEALTH, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


async def test_whoever_asks_for_its_health_is_told_three_times_before_the_port_is_closed(proxy) -> None:
    """Requests that come meanwhile are answered as ever, each the last of its connection."""
    kept = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    kept.connect()
    seen, answered = [], []
    for number in range(60):
        if number == 3:
            proxy.process.send_signal(signal.SIGTERM)
        seen.append(health(proxy))
        if seen[-1] == 0:
            break
        if seen[-1] == 503:
            answered.append(asked_anew(proxy))
        await asyncio.sleep(0.15)

    told = [status for status in seen if status == 503]
    assert seen == [200] * (len(seen) - len(told) - 1) + told + [0]
    assert len(told) >= 3
    assert answered == [(200, "close")] * len(told)
    kept.close()
    assert await asyncio.to_thread(proxy.process.wait, 20) in {0, -signal.SIGTERM}
    assert len(proxy.exchanges()) == len(told)


def asked_anew(running: ProxyProcess) -> tuple[int, str | None]:
    """Ask on a new connection; status, and what is to become of the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    connection.request("POST", "/v1/anything", b"{}", {"content-type": "application/json"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.headers["connection"]


@pytest.mark.parametrize("owns_port", [True, False])
def test_who_shares_a_port_does_not_say_that_it_ends_for_the_others_go_on(owns_port: bool) -> None:
    front, probes, listening = FrontDoor(ClientLimits()), Probes(), bind("127.0.0.1:0")
    settings = uvicorn.Config(echo, http=cast(Any, front), lifespan="off", loop="uvloop", ws="none", log_config=None)
    server = ProxyServer(settings, front, probes, 5.0, owns_port=owns_port)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    server.should_exit = True
    thread.join(10)

    assert not thread.is_alive()
    assert probes.ending == owns_port


def test_a_balancer_that_does_not_come_to_hear_it_is_not_waited_for_without_end(proxy) -> None:
    """It has asked often, and asks no more: half a second after it is overdue the port is closed."""
    assert [health(proxy) for _ in range(3)] == [200] * 3
    proxy.process.send_signal(signal.SIGTERM)

    assert proxy.process.wait(20) in {0, -signal.SIGTERM}
