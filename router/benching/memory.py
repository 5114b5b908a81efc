"""How much memory and processor time a server takes: the process that listens on its port, and its children.

Only for servers on this machine, and only where the system lets this user see whose a port is. Behind a local
forwarder (a container's port, a tunnel) it would be the forwarder's memory: look at the figure before you quote it.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from experiments.benching.benchmark import Memory

_PORTS = {"http": 80, "https": 443}


def memories(urls: Mapping[str, Sequence[str]], model_files: Mapping[str, Path]) -> dict[str, Memory]:
    """Return each variant's memory and the size of its model file.

    Args:
        urls: Variant -> its endpoints.
        model_files: Variant -> its model file, or its folder of them.

    Raises:
        OSError: A model file cannot be read.
    """
    found = {variant: _processes(endpoints) for variant, endpoints in urls.items()}
    sizes = {variant: file_bytes(path) for variant, path in model_files.items()}
    return {
        variant: _memory(
            pids, [other for name, (other, _) in found.items() if name != variant], why, sizes.get(variant)
        )
        for variant, (pids, why) in found.items()
    }


def cpu_seconds(urls: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return the processor time that each variant's processes have used so far, in seconds.

    Other work on the machine makes a latency longer, but this hardly. Where it cannot be told a variant is left out.
    """
    found = {variant: _processes(endpoints)[0] for variant, endpoints in urls.items()}
    if len(found) > 1 and set.intersection(*found.values()):
        return {}
    return {variant: sum(_used_s(pid) for pid in pids) for variant, pids in found.items() if pids}


def file_bytes(path: Path) -> int:
    """Return the size of a file, or of all files in a folder.

    Raises:
        OSError: It cannot be read.
    """
    if path.is_dir():
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    return path.stat().st_size


def is_here(url: str) -> bool:
    """Whether a URL names this machine's loopback.

    >>> [is_here(url) for url in ("http://127.0.0.1:8001", "http://localhost", "http://[::1]:1", "http://10.0.0.8")]
    [True, True, True, False]
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _processes(urls: Iterable[str]) -> tuple[set[int], str]:
    """Return the processes of a variant's endpoints; none, and why, if those of one of them cannot be told."""
    found: set[int] = set()
    for url in urls:
        if not is_here(url):
            return set(), "not on this machine"
        pids = _listening(url)
        if isinstance(pids, str):
            return set(), pids
        found |= pids
    return found, ""


def _listening(url: str) -> set[int] | str:
    """Return the processes behind a port, or why they cannot be told."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return "this user may not see whose a port is"
    here = [one for one in connections if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port]
    pids = {one.pid for one in here if one.pid is not None}
    if not pids:
        return "its process belongs to another user" if here else "no process listens on its port"
    return {pid for parent in pids for pid in (parent, *_children(parent))}


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _memory(pids: set[int], others: Sequence[set[int]], why_not: str, model_bytes: int | None) -> Memory:
    if why_not:
        return Memory(why_not=why_not, model_bytes=model_bytes)
    if any(pids & other for other in others):
        return Memory(why_not="one process serves both", model_bytes=model_bytes)
    if os.getpid() in pids:
        return Memory(why_not="it runs in the benchmark's own process", model_bytes=model_bytes)
    total = sum(_rss_bytes(pid) for pid in pids)
    return Memory(total, model_bytes=model_bytes) if total else Memory(why_not="it has ended", model_bytes=model_bytes)


def _used_s(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _rss_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
