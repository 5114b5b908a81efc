"""Processes: an address that cannot be had is one clear line; a child that ends is started again, ever more slowly."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests_history import CONFIG, write_config

from experiments.config import Config, load
from router.workers import ListenError, Supervisor, _Child, bind

ROOT = Path(__file__).parents[2]


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0"])
def test_a_bound_socket_takes_connections_at_once(address: str) -> None:
    with bind(address) as listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=5):
        listening.accept()[0].close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_an_address_of_ipv6_stands_in_brackets() -> None:
    with bind("[::1]:0") as listening, socket.create_connection(("::1", listening.getsockname()[1]), timeout=5):
        listening.accept()[0].close()


def test_a_port_in_use_is_told_with_its_address() -> None:
    with bind("127.0.0.1:0") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match=f"^cannot listen on {address}: Address already in use$"):
            bind(address)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("192.0.2.1:8080", "Cannot assign requested address"),
        ("127.0.0.1:65536", "port must be 0-65535"),
    ],
)
def test_an_address_that_cannot_be_had_is_told_with_the_reason(address: str, why: str) -> None:
    with pytest.raises(ListenError, match=f"^cannot listen on {address}: .*{why}"):
        bind(address)


def test_a_port_can_be_had_again_right_after_its_server_has_gone() -> None:
    """Its closed connections may still wait in the system for minutes: a restart must not."""
    with bind("127.0.0.1:0") as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            accepted, _ = listening.accept()
            accepted.close()
            client.recv(1)

    bind(f"127.0.0.1:{port}").close()


# --- children ---------------------------------------------------------------------------------------------------------


class Children:
    """Real processes that a child of the supervisor becomes one after the other."""

    def __init__(self) -> None:
        self.seen: list[subprocess.Popen[bytes]] = []

    def tend(self, child: _Child, now: float) -> bool:
        """Tend it at a time; whether it was started then."""
        before = len(self.seen)
        child.tend(now)
        self._note(child)
        return len(self.seen) > before

    def end(self, child: _Child, lived: float = 0.0) -> float:
        """Wait for its process; returns the time at which it has lived for so long."""
        self._note(child)
        assert child.process is not None
        child.process.wait(10)
        return child.started_at + lived

    def _note(self, child: _Child) -> None:
        if child.process is not None and child.process not in self.seen:
            self.seen.append(child.process)

    def close(self) -> None:
        for process in self.seen:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


@pytest.fixture(name="children")
def _children() -> Iterator[Children]:
    children = Children()
    yield children
    children.close()


def test_a_child_that_ends_is_started_again_at_growing_intervals_up_to_ten_seconds(children) -> None:
    child, pauses = _Child("short", ["true"]), []
    children.tend(child, 0.0)
    for _ in range(9):
        ended = children.end(child, lived=0.5)
        assert not children.tend(child, ended)
        pauses.append(child.not_before - ended)
        assert not children.tend(child, child.not_before - 0.001)
        assert children.tend(child, child.not_before)

    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10])


def test_a_child_that_lived_long_is_started_again_soon(children) -> None:
    child = _Child("short", ["true"], failures=6)
    children.tend(child, 0.0)

    ended = children.end(child, lived=11.0)
    children.tend(child, ended)

    assert child.not_before - ended == pytest.approx(0.2)


def test_a_child_that_runs_is_left_alone(children) -> None:
    child = _Child("long", ["sleep", "60"])

    assert children.tend(child, 0.0)
    assert not any(children.tend(child, time.monotonic() + later) for later in (0, 100, 10_000))


def test_a_child_holds_the_other_end_of_its_standard_input(children) -> None:
    """So it ends when its parent is gone, however that went."""
    child = _Child("reader", [sys.executable, "-c", "import os; os.read(0, 1)"])
    children.tend(child, 0.0)
    assert child.process is not None
    with pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(0.3)

    child.process.stdin.close()

    assert child.process.wait(10) == 0


def test_a_child_that_does_not_stop_within_the_grace_time_is_killed(children, tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(deaf)!r}, 'w').close(); time.sleep(60)"
    child = _Child("stubborn", [sys.executable, "-c", code])
    children.tend(child, 0.0)
    _wait_for(deaf.exists)

    child.ask_to_stop()
    child.wait(0.2)

    assert child.process is not None
    assert child.process.returncode == -signal.SIGKILL


def test_a_child_that_was_never_started_or_is_gone_can_be_stopped(children) -> None:
    child = _Child("none", ["true"])
    child.ask_to_stop()
    child.wait(0.1)
    children.tend(child, 0.0)
    children.end(child)
    child.ask_to_stop()
    child.wait(0.1)


# --- the supervisor ---------------------------------------------------------------------------------------------------


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


def _wait_for(condition, seconds: float = 20.0):
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


def test_a_child_that_never_stays_up_never_ends_the_supervisor() -> None:
    child = _Child("x", ["true"], failures=2_000)
    child.start()
    process = child.process
    process.wait()
    child.tend(child.started_at + 0.5)
    process.stdin.close()
    assert child.not_before == child.started_at + 0.5 + 10.0
