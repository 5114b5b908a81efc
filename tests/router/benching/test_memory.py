"""Whose memory: of the process behind a port on this machine; otherwise why it cannot be told."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from experiments.benching.benchmark import Memory
from router.benching.memory import cpu_seconds, file_bytes, memories
from router.fakes.backend import FakeBackend
from router.fakes.server import serving

LISTEN = """
import socket, sys
held = bytearray(30_000_000)
held[::4096] = b"x" * len(held[::4096])
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def process() -> Iterator[tuple[str, int]]:
    """A process of its own that listens and holds 30 MB; yields its URL and its id."""
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        yield f"http://127.0.0.1:{started.stdout.readline().strip()}", started.pid
        started.kill()


def test_the_memory_is_that_of_the_process_that_listens() -> None:
    with process() as (one, pid), process() as (other, _):
        found = memories({"control": [one], "treatment": [other]}, {})
        really = psutil.Process(pid).memory_info().rss

    assert found["control"].why_not == ""
    assert found["control"].rss_bytes == pytest.approx(really, rel=0.05)
    assert found["control"].rss_bytes > 30e6


def test_several_endpoints_are_added_up() -> None:
    with process() as (one, _), process() as (two, _):
        both = memories({"control": [one, two], "treatment": ["http://10.0.0.8"]}, {})

    assert both["control"].rss_bytes is not None
    assert both["control"].rss_bytes > 60e6
    assert both["treatment"] == Memory(why_not="not on this machine")


def test_the_processor_time_is_that_of_the_process_and_only_rises() -> None:
    with process() as (one, pid), process() as (other, _):
        urls = {"control": [one], "treatment": [other]}
        first, second = cpu_seconds(urls), cpu_seconds(urls)
        really = sum(psutil.Process(pid).cpu_times()[:2])

    assert 0 < first["control"] <= second["control"] <= really
    assert cpu_seconds({"control": [one], "treatment": [one]}) == {}


def test_one_process_that_serves_both_cannot_be_told_apart() -> None:
    with process() as (url, _):
        found = memories({"control": [url], "treatment": [url]}, {})

    assert {memory.why_not for memory in found.values()} == {"one process serves both"}


def test_a_server_of_this_very_process_and_a_port_where_nobody_listens_are_told() -> None:
    with serving(FakeBackend()) as url:
        found = memories({"control": [url], "treatment": ["http://127.0.0.1:1"]}, {})

    assert found["control"].why_not == "it runs in the benchmark's own process"
    assert found["treatment"].why_not == "no process listens on its port"


def test_a_model_is_as_large_as_its_files(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for number in (1, 2):
        (tmp_path / "shards" / f"{number}.gguf").write_bytes(b"x" * 100 * number)

    assert file_bytes(tmp_path) == 300
    found = memories({"control": ["http://10.0.0.8"]}, {"control": tmp_path / "shards" / "1.gguf"})
    assert found["control"].model_bytes == 100
    with pytest.raises(OSError, match="No such file"):
        memories({}, {"control": tmp_path / "away.gguf"})
