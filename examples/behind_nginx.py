"""The router behind a real nginx: users keep their variant, streams stay streams, and feedback finds its way.

    python -m examples.behind_nginx          (needs nginx: Debian's nginx-light)

nginx is configured as `CONFIG` below says: `proxy_buffering off` has it pass on each piece of a stream as it comes,
whatever its size. Two simulated backends answer. Exit code 2: there is no nginx.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.config import load
from experiments.model import Phase, Route
from router.app import build_app
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving

CONFIG = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  client_max_body_size 32m;
  upstream touchstone { server ROUTER; keepalive 16; }
  server {
    listen 127.0.0.1:PORT;
    location / {
      proxy_pass http://touchstone;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off;
      proxy_read_timeout 3600s;
    }
  }
}
"""
_CANNOT = 2
_USERS = 40
_PIECES = 20
_ROUTER = """
[router]
journal = "journal"
[backends.original]
url = "{original}"
[backends.small]
url = "{small}"
[experiments.support]
match = {{ path = "/v1/chat/completions" }}
control = "original"
treatment = "small"
split_percent = 50
unit = "header:x-user-id"
expose_variant = true
monitors = {{ thumbs_up = {{ feedback = true }} }}
"""


def main() -> int:
    """Run the three checks; 1 and why if one fails."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        print("there is no nginx on this machine: apt-get install nginx-light", file=sys.stderr)
        return _CANNOT
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        direct = stack.enter_context(_router(folder))
        behind = stack.enter_context(_nginx(program, folder, direct))
        wrong = [*_variants(direct, behind), *_streams(behind), *_feedback(behind)]
    for line in wrong:
        print(line)
    if not wrong:
        print(f"{_USERS} users kept their variant, a stream came in pieces, feedback and a large body arrived")
    return int(bool(wrong))


@contextmanager
def _router(folder: Path) -> Iterator[str]:
    """Serve the router, and yield its `host:port`."""
    with ExitStack() as stack:
        slow = Behaviour(chunks=_PIECES, chunk_delay_ms=30)
        urls = [stack.enter_context(serving(FakeBackend(slow))) for _ in range(2)]
        (folder / "config.toml").write_text(_ROUTER.format(original=urls[0], small=urls[1]), encoding="utf-8")
        config = load(folder / "config.toml", {})
        route = Route(experiment="support", epoch=1, phase=Phase.RUNNING, split_basis_points=5_000, salt="support")
        app = build_app(config, load_routes=lambda: [route], lookup_exchange=lambda _: "support")
        yield stack.enter_context(serving(app)).removeprefix("http://")


@contextmanager
def _nginx(program: str, folder: Path, router: str) -> Iterator[str]:
    """Run nginx in front of it, and yield its `host:port`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    text = CONFIG.replace("ROUTER", router).replace("PORT", str(port))
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    process = subprocess.Popen([program, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"])
    try:
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                break
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def _asked(address: str, path: str, body: dict[str, object], user: str = "") -> Iterator[http.client.HTTPResponse]:
    headers = {"content-type": "application/json"} | ({"x-user-id": user} if user else {})
    with closing(http.client.HTTPConnection(address, timeout=20)) as connection:
        connection.request("POST", path, json.dumps(body), headers)
        yield connection.getresponse()


def _chat(
    address: str, user: str, text: str = "hello", *, stream: bool = False
) -> AbstractContextManager[http.client.HTTPResponse]:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": stream}
    return _asked(address, "/v1/chat/completions", body, user)


def _header(address: str, user: str, name: str) -> str | None:
    with _chat(address, user) as answer:
        return answer.headers[name]


def _variants(direct: str, behind: str) -> Iterator[str]:
    users = [f"user-{number}" for number in range(_USERS)]
    found = [[_header(address, user, "x-touchstone-variant") for user in users] for address in (direct, behind)]
    if found[0] != found[1] or set(found[0]) != {"control", "treatment"}:
        yield f"users changed their variant behind nginx: {found}"


def _streams(behind: str) -> Iterator[str]:
    pieces = 0
    with _chat(behind, "user-1", stream=True) as answer:
        while answer.read1():
            pieces += 1
    if pieces < _PIECES // 2:
        yield f"a stream of {_PIECES} pieces came in {pieces}: nginx buffered it"
    with _chat(behind, "user-1", "a" * 3_000_000) as large:
        if large.status != 200:
            yield f"a body of 3 MB was answered with {large.status}"


def _feedback(behind: str) -> Iterator[str]:
    exchange = _header(behind, "user-2", "x-touchstone-exchange")
    body = {"exchange": exchange, "metric": "thumbs_up", "value": True}
    with _asked(behind, "/_touchstone/v1/feedback", body) as sent:
        if sent.status not in {200, 202}:
            yield f"feedback was answered with {sent.status}: {sent.read()[:200]!r}"


if __name__ == "__main__":
    sys.exit(main())
