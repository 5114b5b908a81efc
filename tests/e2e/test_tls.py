"""HTTPS everywhere: on the data port, on the admin port, and to backends, whose certificates are verified."""

import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn

from experiments.config import load
from router.app import build_app
from router.fakes.backend import FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

trustme = pytest.importorskip("trustme", reason="needs trustme, of the extra dev")
ROOT = Path(__file__).parents[2]
CHAT = "/v1/chat/completions"
QUESTION = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()

SERVED = """
[router]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
default_backend = "only"
shutdown_grace_s = 1
[router.tls]
certificate = "server.pem"
key = "server.key"
[router.admin_tls]
certificate = "server.pem"
key = "server.key"
[backends.only]
url = "{backend}"
"""
BEFORE = """
[router]
default_backend = "only"
[backends.only]
url = "{backend}"
"""


@pytest.fixture(name="authority", scope="module")
def _authority() -> "trustme.CA":
    return trustme.CA()


def issue(authority: "trustme.CA", folder: Path, *names: str) -> tuple[Path, Path]:
    """Write a certificate for these names, with its key."""
    issued = authority.issue_cert(*names)
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key


def trusting(authority: "trustme.CA") -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def ask(url: str, context: ssl.SSLContext | None = None, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


# --- our own ports ----------------------------------------------------------------------------------------------------


class Ports(NamedTuple):
    """Where a running `touchstone serve` listens."""

    data: int
    admin: int


@pytest.fixture(name="ports", scope="module")
def _ports(authority: "trustme.CA", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    folder = tmp_path_factory.mktemp("tls")
    issue(authority, folder, "localhost", "127.0.0.1")
    with bind("127.0.0.1:0") as one, bind("127.0.0.1:0") as other:
        ports = Ports(one.getsockname()[1], other.getsockname()[1])
    with ExitStack() as stack:
        backend = stack.enter_context(serving(FakeBackend()))
        config = folder / "config.toml"
        config.write_text(SERVED.format(port=ports.data, admin=ports.admin, backend=backend))
        log = stack.enter_context((folder / "log").open("wb"))
        command = [sys.executable, "-m", "router", "serve", "--config", str(config)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        stack.callback(_end, process)
        # The second one answers once the store is made.
        urls = (
            f"https://127.0.0.1:{ports.data}/_touchstone/healthz",
            f"https://127.0.0.1:{ports.admin}/api/v1/backends",
        )
        deadline = time.monotonic() + 60
        while not all(_answers(url, trusting(authority)) for url in urls):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield ports


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return ask(url, context)[0] == 200
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    finally:
        process.kill()


def test_the_data_port_answers_over_https(authority: "trustme.CA", ports: Ports) -> None:
    url, context = f"https://localhost:{ports.data}{CHAT}", trusting(authority)

    status, answer = ask(url, context, QUESTION)
    stream = ask(url, context, QUESTION.replace(b'{"model"', b'{"stream": true, "model"'))[1]

    assert (status, json.loads(answer)["object"]) == (200, "chat.completion")
    assert stream.startswith(b"data: ")
    assert stream.rstrip().endswith(b"data: [DONE]")


def test_a_megabyte_goes_up_and_comes_back_over_https(authority: "trustme.CA", ports: Ports) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 2**20}]}).encode()

    assert ask(f"https://localhost:{ports.data}{CHAT}", trusting(authority), body)[0] == 200


def test_the_admin_port_answers_over_https(authority: "trustme.CA", ports: Ports) -> None:
    status, answer = ask(f"https://localhost:{ports.admin}/api/v1/backends", trusting(authority))

    assert (status, [backend["name"] for backend in json.loads(answer)]) == (200, ["only"])


@pytest.mark.parametrize("port", ["data", "admin"])
def test_neither_port_speaks_plain_http_or_old_tls(authority: "trustme.CA", ports: Ports, port: str) -> None:
    address = ("127.0.0.1", getattr(ports, port))

    with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
        ask(f"http://{address[0]}:{address[1]}/healthz")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(f"https://{address[0]}:{address[1]}/healthz", ssl.create_default_context())
    with (
        socket.create_connection(address, timeout=10) as plain,
        trusting(authority).wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.version() in {"TLSv1.2", "TLSv1.3"}


# --- backends ---------------------------------------------------------------------------------------------------------


@contextmanager
def secure_backend(folder: Path, authority: "trustme.CA", *names: str) -> Iterator[int]:
    """Serve a fake backend over https; yields its port."""
    certificate, key = issue(authority, folder, *names)
    with bind("127.0.0.1:0") as listening:
        settings = uvicorn.Config(
            FakeBackend(), log_config=None, interface="asgi3", ws="none", timeout_graceful_shutdown=1,
            ssl_certfile=certificate, ssl_keyfile=key,
        )  # fmt: skip
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def through(folder: Path, port: int, tls: str) -> tuple[int, bytes]:
    """Ask a backend on `https://localhost` through a data plane with these lines of `[backends.only.tls]`."""
    path = folder / "config.toml"
    more = f"[backends.only.tls]\n{tls}\n" if tls else ""
    path.write_text(BEFORE.format(backend=f"https://localhost:{port}") + more)
    with serving(build_app(load(path, {}), load_routes=list, lookup_exchange=lambda _: None)) as url:
        return ask(url + CHAT, body=QUESTION)


@pytest.mark.parametrize(("tls", "status"), [
    ("", 502), ("verify = true", 502), ('ca = "ca.pem"', 200), ('ca = "other.pem"', 502), ("verify = false", 200),
])  # fmt: skip
def test_a_backend_is_asked_only_if_its_certificate_is_trusted(
    authority: "trustme.CA", tmp_path: Path, tls: str, status: int
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")

    with secure_backend(tmp_path, authority, "localhost") as port:
        found, answer = through(tmp_path, port, tls)

    assert found == status
    assert (json.loads(answer).get("object") == "chat.completion") == (status == 200)


def test_a_trusted_certificate_of_another_name_is_refused(authority: "trustme.CA", tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    with secure_backend(tmp_path, authority, "elsewhere.example") as port:
        assert through(tmp_path, port, 'ca = "ca.pem"')[0] == 502
