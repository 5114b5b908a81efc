"""Starting, metering and ending the processes that a benchmark compares."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """Return a loopback port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, timeout_s: float = 20.0) -> None:
    """Wait until something listens on a loopback port."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port} after {timeout_s:g} s")


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in tree(int(child)))]


def cpu_seconds(pids: list[int]) -> float:
    """Return user and system time of processes: exact for threads that live, within 10 ms with those that have ended.

    The scheduler counts nanoseconds, and forgets a thread that has ended; the process's own figures do not, and come in
    ticks, rounded down. The larger one is right.
    """
    return sum(max(_of_threads(pid), _of_process(pid)) for pid in pids)


def _of_threads(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _of_process(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pids: list[int]) -> float:
    """Return the resident memory of processes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def running(
    command: list[str], port: int, cwd: Path | None = None, timeout_s: float = 20.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the length of the block; it is ended by its pid."""
    log = (cwd or Path.cwd()) / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=output)
    try:
        wait_for_port(port, timeout_s)
        yield process
    except TimeoutError as error:
        raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()[-2000:]}") from error
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def python(*arguments: str) -> list[str]:
    """Return a command line of this very interpreter."""
    return [sys.executable, *arguments]
