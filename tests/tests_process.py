"""A real `touchstone proxy` process in front of fake backends, without a controller: for faults and large loads."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.journal.format import Entry, read_segment
from experiments.model import Exchange
from router.processes.workers import bind

CONFIG = """
[router]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
default_backend = "only"
shutdown_grace_s = 10
{router}
[backends.only]
url = "{url}"
"""


@dataclass
class ProxyProcess:
    """A running proxy."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def peak_mib(self) -> float:
        """Highest resident memory so far."""
        return self._status("VmHWM") / 1024

    def resident_mib(self) -> float:
        return self._status("VmRSS") / 1024

    def descriptors(self) -> int:
        """How many files and sockets are open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def exchanges(self) -> list[Exchange]:
        """Everything in the journal so far."""
        segments = sorted((self.folder / "journal").glob("*.journal"))
        entries = [entry for path in segments for entry in read_segment(path)]
        return [e.record for e in entries if isinstance(e, Entry) and isinstance(e.record, Exchange)]

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in text.splitlines() if line.startswith(name)]
        return int(line.split()[1])


@contextmanager
def proxy_process(folder: Path, url: str, router: str = "", more: str = "") -> Iterator[ProxyProcess]:
    """Run a proxy for the length of the block.

    Args:
        folder: Of its configuration, journal and log.
        url: Its only backend.
        router: More lines of `[router]`.
        more: More lines at the end.
    """
    with bind("127.0.0.1:0") as one, bind("127.0.0.1:0") as other:
        port, admin = one.getsockname()[1], other.getsockname()[1]
    config = folder / "config.toml"
    config.write_text(CONFIG.format(port=port, admin=admin, url=url, router=router) + more)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "router", "proxy", "--config", str(config)], stderr=log)
    try:
        running = ProxyProcess(process, f"http://127.0.0.1:{port}", folder)
        _wait_for(running)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        finally:
            process.kill()


def _wait_for(running: ProxyProcess) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{running.url}/_touchstone/healthz", timeout=5).close()
        except OSError:
            assert running.process.poll() is None, (running.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
