"""Large bodies flow through a real proxy process in bounded memory, both ways.

`TOUCHSTONE_LARGE_MIB=1024 pytest tests/e2e/test_large_bodies.py -s` does it with a GiB and prints the figures.
"""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from tests_process import ProxyProcess, proxy_process

from router.fakes.server import serving

MIB = 2**20
SIZE = int(os.environ.get("TOUCHSTONE_LARGE_MIB", "192"))
GROWTH = 64
PIECE = hashlib.sha256(b"piece").digest() * (MIB // 32)


async def bulk(scope, receive, send) -> None:
    """POST: say how much came and what its hash is. GET: send so many MiB."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    digest, length, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["method"] == "GET":
        for _ in range(SIZE):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": f"{length} {digest.hexdigest()}".encode()})


@pytest.fixture(name="proxied", params=["http1", "aiohttp"])
def _proxied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProxyProcess]:
    settings = f'max_body_bytes = 4_294_967_296\nhttp_transport = "{request.param}"'
    with serving(bulk) as url, proxy_process(tmp_path, url, settings) as running:
        yield running


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(SIZE):
        yield PIECE


async def test_a_large_upload_arrives_whole_in_bounded_memory(proxied: ProxyProcess) -> None:
    before, started = proxied.peak_mib(), time.monotonic()

    async with aiohttp.ClientSession() as session, session.post(proxied.url + "/bulk", data=_pieces()) as response:
        length, digest = (await response.text()).split()

    grown = proxied.peak_mib() - before
    print(f"\nupload of {SIZE} MiB: +{grown:.0f} MiB, {SIZE / (time.monotonic() - started):.0f} MiB/s")
    expected = hashlib.sha256()
    for _ in range(SIZE):
        expected.update(PIECE)
    assert (int(length), digest) == (SIZE * MIB, expected.hexdigest())
    assert grown < GROWTH


async def test_a_large_answer_reaches_a_slow_reader_in_bounded_memory(proxied: ProxyProcess) -> None:
    before, started, length = proxied.peak_mib(), time.monotonic(), 0

    async with aiohttp.ClientSession(read_bufsize=2**16) as session, session.get(proxied.url + "/bulk") as response:
        async for piece in response.content.iter_any():
            length += len(piece)

    grown = proxied.peak_mib() - before
    print(f"\nanswer of {SIZE} MiB: +{grown:.0f} MiB, {SIZE / (time.monotonic() - started):.0f} MiB/s")
    assert length == SIZE * MIB
    assert grown < GROWTH
