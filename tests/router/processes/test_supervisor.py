"""The supervisor: processes that end are replaced; a changed configuration is taken up whole, or refused whole."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest
import trustme
from tests_history import CONFIG, write_config

from experiments.config import Config, load
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.supervisor import Supervisor
from router.processes.workers import ListenError, bind

ROOT = Path(__file__).parents[3]


def _config(folder: Path, listen: int, admin: int) -> Config:
    text = CONFIG.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{listen}"')
    return load(write_config(folder, text.replace('admin = "127.0.0.1:0"', f'admin = "127.0.0.1:{admin}"')), {})


@pytest.mark.parametrize("taken", ["listen", "admin"])
def test_a_supervisor_refuses_to_begin_if_a_port_is_taken_and_holds_no_other(tmp_path: Path, taken: str) -> None:
    with ExitStack() as stack:
        ports = {name: stack.enter_context(bind("127.0.0.1:0")) for name in ("listen", "admin")}
        numbers = {name: port.getsockname()[1] for name, port in ports.items()}
        ports["admin" if taken == "listen" else "listen"].close()

        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{numbers[taken]}: "):
            Supervisor(_config(tmp_path, **numbers))

        bind(f"127.0.0.1:{numbers['admin' if taken == 'listen' else 'listen']}").close()


def test_a_proxy_that_is_killed_is_replaced_behind_the_same_port_and_all_end_together(tmp_path: Path) -> None:
    with bind("127.0.0.1:0") as one, bind("127.0.0.1:0") as other:
        port, admin = one.getsockname()[1], other.getsockname()[1]
    config = _config(tmp_path, port, admin)
    command = [sys.executable, "-m", "router", "serve", "--config", str(config.path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for(lambda: _healthy(port))
            [killed] = _children_of(process.pid, "proxy")
            os.kill(killed, signal.SIGKILL)
            [proxy] = _wait_for(lambda: {*_children_of(process.pid, "proxy")} - {killed})
            assert _healthy(port)
            everyone = [proxy, *_children_of(process.pid, "control")]
            process.terminate()
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()

    assert process.returncode == 0
    assert len(everyone) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in everyone)
    assert '"event": "process_ended"' in errors
    assert "Traceback" not in errors


def _wait_for(condition, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_touchstone/healthz", timeout=20) as response:
            return response.status == 200
    except OSError:
        return False


def _children_of(pid: int, role: str) -> list[int]:
    """Return the ids of a supervisor's children of one role."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sorted(int(child) for child in children if role.encode() in _command(child))


def _command(pid: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


# --- a changed configuration ------------------------------------------------------------------------------------------

RELOADED = """
[router]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
default_backend = "{default}"
reload = {reload}
[backends.one]
url = "{one}"
[backends.two]
url = "{two}"
"""


class Reloading:
    """A supervisor with a default backend, of which the file is changed."""

    def __init__(self, folder: Path, urls: list[str], reload: bool) -> None:
        with bind("127.0.0.1:0") as one, bind("127.0.0.1:0") as other:
            ports = {"port": one.getsockname()[1], "admin": other.getsockname()[1]}
        self._values = {**ports, "one": urls[0], "two": urls[1], "reload": str(reload).lower()}
        self.port = ports["port"]
        self.admin = f"http://127.0.0.1:{ports['admin']}"
        self.path = folder / "config.toml"
        self.log = folder / "log"
        self.write("one")
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "router", "serve", "--config", str(self.path)]
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        _wait_for(lambda: _healthy(self.port))

    def write(self, default: str, more: str = "") -> None:
        """Change the file as editors do: whole, at once."""
        new = self.path.with_suffix(".new")
        new.write_text(RELOADED.format(default=default, **self._values) + more)
        new.replace(self.path)

    def events(self, name: str) -> list[dict]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def refused(self) -> dict | None:
        """Return what the admin port says of a refused configuration."""
        with urllib.request.urlopen(f"{self.admin}/api/v1/config", timeout=10) as answer:
            return json.load(answer)["refused"]

    async def ask(self) -> str:
        """Return which backend answers."""
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}/v1/models") as answer:
            return "two" if (await answer.json()).get("object") != "list" else "one"


@contextmanager
def reloading(folder: Path, *, reload: bool = True) -> Iterator[Reloading]:
    one, two = FakeBackend(), FakeBackend()
    two.behaviour = Behaviour(status=418)
    with ExitStack() as stack:
        running = Reloading(folder, [stack.enter_context(serving(backend)) for backend in (one, two)], reload)
        try:
            yield running
        finally:
            running.process.terminate()
            try:
                running.process.wait(timeout=30)
            finally:
                running.process.kill()


async def test_a_changed_file_is_taken_up_and_no_request_is_dropped(tmp_path: Path) -> None:
    with reloading(tmp_path) as running:
        assert await running.ask() == "one"
        before = {*_children_of(running.process.pid, "proxy")}
        running.write("two")
        answers, deadline = [], time.monotonic() + 60
        while not (running.events("reloaded") and answers[-1] == "two") and time.monotonic() < deadline:
            answers += await asyncio.gather(*(running.ask() for _ in range(4)))

        assert answers[-1] == "two"
        assert set(answers) == {"one", "two"}
        # A connection that the old proxy took is still its to answer.
        _wait_for(lambda: not before & {*_children_of(running.process.pid, "proxy")})
        assert await running.ask() == "two"


async def test_a_bad_file_is_refused_with_its_line_and_the_old_one_keeps_serving_even_after_a_crash(
    tmp_path: Path,
) -> None:
    with reloading(tmp_path, reload=False) as running:
        running.write("nobody", "[router.clients]\nmax_conections = 5\n")
        await asyncio.sleep(0.6)
        assert running.events("reload_refused") == []
        running.process.send_signal(signal.SIGHUP)
        [refused] = _wait_for(lambda: running.events("reload_refused"))
        [proxy] = _children_of(running.process.pid, "proxy")
        os.kill(proxy, signal.SIGKILL)
        _wait_for(lambda: {*_children_of(running.process.pid, "proxy")} - {proxy})
        _wait_for(lambda: _healthy(running.port))

        assert await running.ask() == "one"
        assert any("config.toml:5" in line and "default_backend" in line for line in refused["problems"])
        assert any("max_connections" in line for line in refused["problems"])


async def test_an_unchanged_file_restarts_nothing(tmp_path: Path) -> None:
    with reloading(tmp_path) as running:
        before = _children_of(running.process.pid, "proxy")
        running.process.send_signal(signal.SIGHUP)
        _wait_for(lambda: running.events("reload_unchanged"))

        assert _children_of(running.process.pid, "proxy") == before


def test_the_admin_port_tells_since_when_and_why_a_file_is_refused_until_a_good_one_is_taken_up(tmp_path: Path) -> None:
    with reloading(tmp_path, reload=False) as running:
        _wait_for(lambda: _admin_answers(running))
        assert running.refused() is None
        for default, rule in (("nobody", "config.toml:5"), ("no-one", "no-one")):
            running.write(default)
            running.process.send_signal(signal.SIGHUP)
            refused = _wait_for(lambda rule=rule: (found := running.refused()) and rule in str(found) and found)
        running.write("two", 'api_key = "env:TOUCHSTONE_NOT_THERE"\n')
        running.process.send_signal(signal.SIGHUP)
        without = _wait_for(lambda: (found := running.refused()) and "NOT_THERE" in str(found) and found)
        with urllib.request.urlopen(f"{running.admin}/readyz", timeout=10) as answer:
            ready, note = answer.read().decode().splitlines()
        running.write("one")
        running.process.send_signal(signal.SIGHUP)
        _wait_for(lambda: running.events("reload_unchanged"))

        first = running.events("reload_refused")[0]["timestamp"]
        assert refused["since"] == pytest.approx(datetime.fromisoformat(first).timestamp(), abs=1)
        assert "default_backend" in refused["problems"][0]
        assert (ready, note.split(": ")[0].partition(" since ")[0]) == ("ready", "the configuration on disk is refused")
        assert without == {
            "since": refused["since"],
            "problems": ["the secret env:TOUCHSTONE_NOT_THERE is not in the environment"],
        }
        assert without["problems"][0] in note
        assert running.refused() is None


def _admin_answers(running: Reloading) -> bool:
    try:
        running.refused()
    except OSError:
        return False
    return True


def test_a_renewed_certificate_is_taken_up_on_a_hangup_and_one_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"

    def renew() -> None:
        issued = authority.issue_cert("127.0.0.1")
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())

    def shown() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", running.port)).strip().encode()

    renew()
    more = f'[router.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    with reloading(tmp_path) as running:
        running.write("one", more)
        _wait_for(lambda: running.events("reloaded"))
        [first] = _children_of(running.process.pid, "proxy")[-1:]
        _wait_for(lambda: _children_of(running.process.pid, "proxy") == [first])
        old = shown()
        certificate.write_text("no pem")
        running.process.send_signal(signal.SIGHUP)
        [refused] = _wait_for(lambda: running.events("reload_refused"))
        still = shown()
        renew()
        running.process.send_signal(signal.SIGHUP)
        _wait_for(lambda: len(running.events("reloaded")) == 2)
        _wait_for(lambda: first not in _children_of(running.process.pid, "proxy"))

        assert f"cannot serve https on 127.0.0.1:{running.port} with {certificate}: " in refused["problems"][0]
        assert old == still
        assert shown() != old
        assert certificate.read_bytes().startswith(shown())
