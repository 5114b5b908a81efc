"""An app is served for the length of a block, and a port that is taken is told before."""

import urllib.request

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from router.admin.thread_server import ThreadServer
from router.processes.workers import ListenError


async def hello(_) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


def test_an_app_is_served_for_as_long_as_the_block_lasts() -> None:
    with ThreadServer(APP, "127.0.0.1:0") as server:
        url = f"http://127.0.0.1:{server.port}/"
        with urllib.request.urlopen(url, timeout=5) as response:
            said = response.read()

    assert said == b"hello"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_a_port_that_is_taken_is_told_at_once() -> None:
    with ThreadServer(APP, "127.0.0.1:0") as server, pytest.raises(ListenError, match="in use"):
        ThreadServer(APP, f"127.0.0.1:{server.port}")
