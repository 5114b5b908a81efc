"""The processes behind `proxy` and `control`: they serve, end when told, and say in one line why they cannot begin."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from tests_history import CONFIG, write_config

from experiments.config import load
from experiments.model import Phase
from router.commandline.common import reading
from router.fakes.backend import FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

ROOT = Path(__file__).parents[3]


def fail(message: str) -> NoReturn:
    raise AssertionError(message)


@pytest.fixture(name="running")
def _running(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `touchstone` with a command; whatever it is, it is ended afterwards."""
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[str]:
            pipe = subprocess.PIPE
            command = [sys.executable, "-m", "router", *arguments, "--config", str(tmp_path / "config.toml")]
            process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture(name="ports")
def _ports() -> list[int]:
    """Two free ports of loopback: data and admin."""
    with bind("127.0.0.1:0") as one, bind("127.0.0.1:0") as two:
        return [one.getsockname()[1], two.getsockname()[1]]


def _configured(folder: Path, ports: list[int], backend: str = "http://127.0.0.1:9") -> None:
    text = CONFIG.replace("http://127.0.0.1:9", backend)
    for name, port in zip(("listen", "admin"), ports, strict=True):
        text = text.replace(f'{name} = "127.0.0.1:0"', f'{name} = "127.0.0.1:{port}"')
    write_config(folder, text)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as response:
        return bytes(response.read())


def _answers(process: subprocess.Popen[str], url: str) -> bytes:
    """Wait until a URL answers with success."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        try:
            return _get(url)
        except urllib.error.URLError:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.025)
    raise AssertionError(url)


def test_a_proxy_serves_by_control_before_there_is_a_store_and_ends_when_told(tmp_path, ports, running) -> None:
    with serving(FakeBackend()) as backend:
        _configured(tmp_path, ports, backend)
        process = running("proxy")
        url = f"http://127.0.0.1:{ports[0]}"
        assert _answers(process, f"{url}/_touchstone/healthz") == b"ok\n"
        with pytest.raises(urllib.error.HTTPError) as caught:
            _get(f"{url}/_touchstone/readyz")
        with caught.value as error:
            assert b"the routes were never read from the store: control serves everyone" in error.read()
        request = urllib.request.Request(f"{url}/v1/chat/completions", b'{"model": "support", "messages": [{}]}')
        with urllib.request.urlopen(request, timeout=5) as response:
            assert response.headers["x-touchstone-exchange"]
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)

    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in out + errors
    assert len([*(tmp_path / "journal").glob("*.journal")]) == 1


def test_a_controller_makes_the_store_serves_the_admin_api_and_ends_with_its_parent(tmp_path, ports, running) -> None:
    _configured(tmp_path, ports)
    process = running("control", "--exit-with-parent")

    assert _answers(process, f"http://127.0.0.1:{ports[1]}/readyz") == b"ready\n"
    out, errors = process.communicate(timeout=60)  # closes its standard input, as the end of this process would

    assert process.returncode == 0, errors
    assert "Traceback" not in out + errors
    with reading(load(tmp_path / "config.toml", {}), fail) as store:
        assert [route.phase for route in store.routes()] == [Phase.GATED], "nobody answers at its backends"


@pytest.mark.parametrize(("command", "place"), [("proxy", 0), ("control", 1), ("serve", 0)])
def test_a_port_that_is_in_use_is_one_line_and_exit_code_2(tmp_path, ports, running, command: str, place: int) -> None:
    _configured(tmp_path, ports)
    with bind(f"127.0.0.1:{ports[place]}"):
        process = running(command)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 2
    assert errors == f"touchstone: cannot listen on 127.0.0.1:{ports[place]}: Address already in use\n"
