"""F12, from outside: a real proxy whose journal's disk fills up serves everyone, says why, and recovers by itself."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import aiohttp
from tests_process import ProxyProcess, proxy_process

from experiments.journal.format import Entry, read_segment
from router.fakes.backend import FakeBackend
from router.fakes.server import serving

CHAT = "/v1/chat/completions"


async def ask(url: str, count: int) -> list[int]:
    statuses = []
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            async with session.post(url + CHAT, data=b"hello" * 200) as response:
                await response.read()
                statuses.append(response.status)
    return statuses


def why_not_ready(running: ProxyProcess) -> str:
    try:
        with urllib.request.urlopen(f"{running.url}/_touchstone/readyz", timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return str(json.loads(error.read())["detail"])


def recorded(disk: Path) -> int:
    entries = [entry for path in disk.glob("*.journal") for entry in read_segment(path)]
    return sum(isinstance(entry, Entry) for entry in entries)


async def test_f12_all_traffic_is_served_while_the_disk_is_full_and_recording_resumes_by_itself(
    tmp_path: Path, small_disk
) -> None:
    disk = small_disk("512k")
    with serving(FakeBackend()) as url, proxy_process(tmp_path, url, f'journal = "{disk.name}"') as running:
        before = await ask(running.url, 20)
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        during = await ask(running.url, 100)
        told = await asyncio.to_thread(why_not_ready, running)
        at_its_fullest = recorded(disk)
        (disk / "filler").unlink()
        after = await ask(running.url, 20)
        told_after = await asyncio.to_thread(why_not_ready, running)
        log = (tmp_path / "log").read_text()

    assert before + during + after == [200] * 140
    assert at_its_fullest < 120, "the disk was not full"
    assert "recording is shed: the journal cannot be written: No space left on device" in told
    assert recorded(disk) == at_its_fullest + 20
    assert "recording is shed" not in told_after
    assert "No space left on device" in log
