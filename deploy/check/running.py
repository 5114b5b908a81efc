"""Try what the steps made: as process 1, as user 10001, on a read-only root, in a network of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from deploy.check.containerfile import Stage, read_stages

_PORT, _BACKEND_PORT = 8080, 9101
_GRACE_S = 5
_SLOW_S = 2.0
"""How long the backend takes for the answer that is in flight when the process is told to stop."""
CONFIG = f"""
[router]
listen = "0.0.0.0:{_PORT}"
admin = "127.0.0.1:8081"
database = "sqlite:////var/lib/touchstone/touchstone.db"
journal = "/var/lib/touchstone/journal"
shutdown_grace_s = {_GRACE_S}

[backends.original]
url = "http://127.0.0.1:{_BACKEND_PORT}"
[backends.small]
url = "http://127.0.0.1:{_BACKEND_PORT}"

[experiments.support]
match = {{ path = "/v1/chat/completions" }}
control = "original"
treatment = "small"
ramp = [50]
mirror_percent = 100
unit = "header:x-user-id"
[experiments.support.guardrails]
agreement = {{ scorer = "agreement", margin = 0.05 }}
errors = {{ max_relative = 1.2, margin = 0.05 }}
"""
_PLACES = ("/", "/opt/touchstone", "/etc/touchstone", "/usr/local/bin", "/usr/bin", "/var/tmp", "/root", "/home")  # noqa: S108
_TRY_TO_WRITE = f"""
for place in {_PLACES!r}:
    try:
        open(place.rstrip("/") + "/touchstone-was-here", "w")
    except OSError:
        continue
    print(place)
"""


class Sandbox:
    """The finished root, and the process that a container would run in it.

    Args:
        root: Where it is mounted.
        stage: The last one of the container file.
    """

    def __init__(self, root: Path, stage: Stage) -> None:
        self._root = root
        self._stage = stage

    def start(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start what the image starts; the process returned is the namespace's keeper.

        Args:
            log: Where its log goes.
        """
        new = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={self._root}/proc"]
        return subprocess.Popen([*new, *self._command(self._stage.command())], stderr=log)  # noqa: S603

    def ask(self, command: list[str]) -> str:
        """Run another command in the container and return what it says.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        return subprocess.run(self._command(command), check=True, capture_output=True, text=True).stdout  # noqa: S603

    def is_healthy(self) -> bool:
        """Whether the image's own check says so."""
        done = subprocess.run(self._command(self._stage.health_check()), check=False)  # noqa: S603
        return done.returncode == 0

    def _command(self, command: list[str]) -> list[str]:
        user, _, group = self._stage.last("USER").partition(":")
        without = ["--no-new-privs", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        become = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", *without]
        words = [f"{name}={value}" for name, value in self._stage.environment().items()]
        environment = ["/usr/bin/env", "--ignore-environment", f"--chdir={self._stage.last('WORKDIR')}", *words]
        return ["chroot", str(self._root), *become, *environment, *command]


class _Model(BaseHTTPRequestHandler):
    """A backend: its answer is always the same, and slow if that is asked for."""

    def do_POST(self) -> None:
        """Answer."""
        asked = self.rfile.read(int(self.headers["content-length"]))
        if b"slowly" in asked:
            time.sleep(_SLOW_S)
        message = {"role": "assistant", "content": "four"}
        body = json.dumps({"object": "chat.completion", "choices": [{"index": 0, "message": message}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Say that it is there: the experiment's gate asks."""
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


def main(root: Path) -> int:
    """Try it; each line says what holds. Returns 1 if something does not."""
    sandbox = Sandbox(root, read_stages(Path("deploy/Containerfile"))[-1])
    _loopback_up()
    server = ThreadingHTTPServer(("127.0.0.1", _BACKEND_PORT), _Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with this process
    keeper, good = sandbox.start(log), True
    try:
        for says, holds in _checks(sandbox, keeper, root):
            print(f"{'ok    ' if holds else 'FAILED'}  {says}", flush=True)
            good &= holds
    finally:
        keeper.kill()
        server.shutdown()
    if not good:
        log.seek(0)
        print("its log ends with:", *log.read().decode(errors="replace").splitlines()[-20:], sep="\n")
    return 0 if good else 1


def _checks(sandbox: Sandbox, keeper: subprocess.Popen[bytes], root: Path) -> Iterator[tuple[str, bool]]:
    answers = _until(lambda: _get("/_touchstone/readyz") == 200, 60)
    yield "it answers within 60 s", answers
    if not answers:
        return
    [pid] = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    yield "it is process 1 of its namespace", fields["NSpid"].split()[-1] == "1"
    yield "it runs as user 10001, all four of its ids", set(fields["Uid"].split()) == {"10001"}
    yield "it has no capability and can gain none", {fields[n].strip("0 ") for n in ("CapEff", "CapBnd")} == {""}
    yield "it can write nowhere but in its volume and /tmp", sandbox.ask(["python", "-c", _TRY_TO_WRITE]) == ""
    yield "the health check of the image says that it is healthy", sandbox.is_healthy()
    yield "a request through it is answered by the model", _chat("what is two and two?") == "four"
    yield "and is in the store", _until(lambda: _stored(root) > 0, 30)
    yield from _stopping(int(pid), keeper)


def _stopping(pid: int, keeper: subprocess.Popen[bytes]) -> Iterator[tuple[str, bool]]:
    heard: list[str] = []
    client = threading.Thread(target=lambda: heard.append(_chat("slowly")))
    client.start()
    time.sleep(_SLOW_S / 4)
    started = time.monotonic()
    subprocess.run(["kill", "-TERM", str(pid)], check=True)  # noqa: S603, S607
    code = keeper.wait(timeout=_GRACE_S + 30)
    took_s = time.monotonic() - started
    client.join()
    yield "the answer in flight at SIGTERM was whole", heard == ["four"]
    yield f"it ended with 0 after {took_s:.1f} s, its grace being {_GRACE_S} s", code == 0 and took_s < _GRACE_S + 10


def _chat(prompt: str) -> str:
    body = json.dumps({"model": "support", "messages": [{"role": "user", "content": prompt}]}).encode()
    headers = {"content-type": "application/json", "x-user-id": "user-1"}
    request = urllib.request.Request(f"http://127.0.0.1:{_PORT}/v1/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  # our own address
            return str(json.load(response)["choices"][0]["message"]["content"])
    except OSError as error:
        return str(error)


def _get(path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}{path}", timeout=5) as response:
            return int(response.status)
    except OSError:
        return 0


def _stored(root: Path) -> int:
    try:
        with contextlib.closing(sqlite3.connect(root / "var/lib/touchstone/touchstone.db")) as store:
            return int(store.execute("SELECT count(*) FROM exchange").fetchone()[0])
    except sqlite3.Error:
        return 0


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _loopback_up() -> None:
    """Bring up the loopback device of a new network namespace, which has no other."""
    with socket.socket() as any_socket:
        up_and_running = struct.pack("16sh", b"lo", 0x41)
        fcntl.ioctl(any_socket, 0x8914, up_and_running)  # SIOCSIFFLAGS


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
