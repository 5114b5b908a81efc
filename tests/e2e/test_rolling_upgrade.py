"""All processes are replaced under load, one by one, by the shipped script; nobody notices.

What replaces them is the same code with a marker in its environment: a new version, as far as a balancer, the store and
the users can tell.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests_deploy import DEPLOY
from tests_fleet import Fleet, Load, answers, end, fleet, free_port, wait_for

from experiments.store import Store

pytestmark = pytest.mark.cluster
SCRIPT = DEPLOY / "rolling-upgrade.sh"


@contextmanager
def restarter(running: Fleet, folder: Path) -> Iterator[str]:
    """Stand where systemd would: yields a command that replaces the proxy on the port that it is given."""

    class Restart(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            port = int(self.path.removeprefix("/"))
            code = running.end_proxy(port)
            running.start_proxy(port, "new")
            self.send_response(200 if code in {0, -signal.SIGTERM} else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Restart) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        command = folder / "restart.py"
        command.write_text(
            "import sys\nfrom http.client import HTTPConnection\n"
            f"connection = HTTPConnection('127.0.0.1', {server.server_port}, timeout=60)\n"
            "connection.request('GET', '/' + sys.argv[1])\nsys.exit(connection.getresponse().status != 200)\n"
        )
        yield f"{sys.executable} -I -S {command}"
        server.shutdown()
        thread.join()


def looks(store: Store) -> int:
    """Number of the newest look."""
    newest = store.latest_look("support", 1)
    return newest.number if newest else 0


async def upgrade(running: Fleet, folder: Path, **settings: str) -> tuple[int, str]:
    """Run the shipped script over all proxies; its exit code and what it said."""
    with restarter(running, folder) as command:
        environment = os.environ | {"SOCKET": str(running.socket), "PYTHON": sys.executable, "RESTART": command}
        words = [str(SCRIPT), *map(str, running.ports)]
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        process = await asyncio.create_subprocess_exec(*words, **pipes, env=environment | settings)  # type: ignore[arg-type]
        said, _ = await process.communicate()
        return await process.wait(), said.decode()


async def take_over(running: Fleet, first: subprocess.Popen[bytes], second: int) -> None:
    """End the controller that leads, once another one stands by, and wait until that one decides."""
    await asyncio.to_thread(wait_for, lambda: answers(f"http://127.0.0.1:{second}/healthz"), running)
    first.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait, 30) in {0, -signal.SIGTERM}
    seen = looks(running.store)
    await asyncio.to_thread(wait_for, lambda: looks(running.store) >= seen + 2, running)


async def test_four_proxies_and_the_controller_are_replaced_and_no_request_fails(tmp_path: Path) -> None:
    second = free_port()
    with fleet(free_port(), hurried=True) as (running, first):
        load, before = Load(running.url), running.asked()
        sending = asyncio.ensure_future(load.run())
        successor = running.start_control(second)
        try:
            began = time.monotonic()
            replacing = asyncio.ensure_future(take_over(running, first, second))
            refused = await upgrade(running, tmp_path, DRAIN_S="0", RESTART="false")
            code, said = await upgrade(running, tmp_path, DRAIN_S="0")  # so streams are in flight when it is ended
            took_s = time.monotonic() - began
            await replacing
            load.end()
            await sending
            await asyncio.to_thread(wait_for, lambda: len(running.stored("support")) >= len(load.exchanges), running)
        finally:
            end(successor)
        stored, asked = running.stored("support"), running.asked() - before
        builds = {running.build(port) for port in running.ports}

    print(
        f"{len(load.exchanges)} requests ({load.streams} streams) in {took_s:.1f} s, {len(load.failed)} failed\n{said}"
    )
    assert refused[0] == 1
    assert refused[1].endswith("cannot be restarted; it stays taken out, the others serve\n")
    assert (code, said.splitlines()[-1]) == (0, "all 4 are replaced")
    assert builds == {"new"}
    assert load.failed == []
    assert load.streams > 20
    assert len(load.variants) == 60
    assert all(len(variants) == 1 for variants in load.variants.values()), "nobody changes sides"
    assert dict(stored) == dict.fromkeys(load.exchanges, 1), "what was answered is recorded once, and nothing else is"
    assert asked == len(load.exchanges), "nothing was sent to a model twice"


@pytest.mark.parametrize(
    ("ports", "says"),
    [([], "name the ports of the proxies"), (["9081", "9082"], "HAProxy does not answer on")],
    ids=["no port", "no HAProxy"],
)
def test_where_nothing_can_be_done_the_script_does_nothing(tmp_path: Path, ports: list[str], says: str) -> None:
    environment = os.environ | {"SOCKET": str(tmp_path / "none"), "PYTHON": sys.executable, "RESTART": "false"}
    done = subprocess.run([str(SCRIPT), *ports], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
