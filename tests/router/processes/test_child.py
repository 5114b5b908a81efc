"""Children: one that ends is started again, ever more slowly; one that is asked to end does, or is killed."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.processes.child import Child


class Children:
    """Real processes that a child of the supervisor becomes one after the other."""

    def __init__(self) -> None:
        self.seen: list[subprocess.Popen[bytes]] = []

    def tend(self, child: Child, now: float) -> bool:
        """Tend it at a time; whether it was started then."""
        before = len(self.seen)
        child.tend(now)
        self._note(child)
        return len(self.seen) > before

    def end(self, child: Child, lived: float = 0.0) -> float:
        """Wait for its process; returns the time at which it has lived for so long."""
        self._note(child)
        assert child.process is not None
        child.process.wait(10)
        return child.started_at + lived

    def _note(self, child: Child) -> None:
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
    child, pauses = Child("short", ["true"]), []
    children.tend(child, 0.0)
    for _ in range(9):
        ended = children.end(child, lived=0.5)
        assert not children.tend(child, ended)
        pauses.append(child.not_before - ended)
        assert not children.tend(child, child.not_before - 0.001)
        assert children.tend(child, child.not_before)

    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10])


def test_a_child_that_lived_long_is_started_again_soon(children) -> None:
    child = Child("short", ["true"], failures=6)
    children.tend(child, 0.0)

    ended = children.end(child, lived=11.0)
    children.tend(child, ended)

    assert child.not_before - ended == pytest.approx(0.2)


def test_a_child_that_runs_is_left_alone(children) -> None:
    child = Child("long", ["sleep", "60"])

    assert children.tend(child, 0.0)
    assert not any(children.tend(child, time.monotonic() + later) for later in (0, 100, 10_000))


def test_a_child_holds_the_other_end_of_its_standard_input(children) -> None:
    """So it ends when its parent is gone, however that went."""
    child = Child("reader", [sys.executable, "-c", "import os; os.read(0, 1)"])
    children.tend(child, 0.0)
    assert child.process is not None
    with pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(0.3)

    child.process.stdin.close()

    assert child.process.wait(10) == 0


def test_a_child_that_does_not_stop_within_the_grace_time_is_killed(children, tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(deaf)!r}, 'w').close(); time.sleep(60)"
    child = Child("stubborn", [sys.executable, "-c", code])
    children.tend(child, 0.0)
    deadline = time.monotonic() + 20
    while not deaf.exists() and time.monotonic() < deadline:
        time.sleep(0.01)

    child.ask_to_stop()
    child.wait(0.2)

    assert child.process is not None
    assert child.process.returncode == -signal.SIGKILL


def test_a_child_that_was_never_started_or_is_gone_can_be_stopped(children) -> None:
    child = Child("none", ["true"])
    child.ask_to_stop()
    child.wait(0.1)
    children.tend(child, 0.0)
    children.end(child)
    child.ask_to_stop()
    child.wait(0.1)


def test_a_child_that_never_stays_up_never_ends_the_supervisor() -> None:
    child = Child("x", ["true"], failures=2_000)
    child.start()
    process = child.process
    process.wait()
    child.tend(child.started_at + 0.5)
    process.stdin.close()
    assert child.not_before == child.started_at + 0.5 + 10.0


@pytest.mark.parametrize(
    ("code", "ready"), [("os.write(int(sys.argv[2]), b'ready'); time.sleep(60)", True), ("pass", False)]
)
def test_a_child_that_says_that_it_serves_is_heard_and_one_that_ends_before_is_known(code: str, ready: bool) -> None:
    child = Child("x", [sys.executable, "-c", f"import os, sys, time; {code}"], reports_ready=True)
    child.start()
    try:
        assert child.wait_until_ready(time.monotonic() + 20) is ready
        assert child.ready_fd is None
    finally:
        child.wait(0)
        child.process.stdin.close()


def test_a_child_that_says_nothing_is_not_ready_at_the_deadline() -> None:
    child = Child("x", ["sleep", "60"], reports_ready=True)
    child.command = [sys.executable, "-c", "import time; time.sleep(60)"]
    child.start()
    try:
        assert not child.wait_until_ready(time.monotonic() + 0.1)
    finally:
        child.wait(0)
        child.process.stdin.close()
