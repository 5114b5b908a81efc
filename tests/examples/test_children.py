"""Processes of an example: started, watched, and ended with it; what goes wrong is one clear line."""

import socket
import sys
from pathlib import Path

import pytest

from examples.children import Children, ExampleError, answers, fetch, missing_modules, wait_for_free

WAITS = "import sys; sys.stdin.read()"


def test_a_process_is_ended_with_the_block(tmp_path):
    with Children(tmp_path / "logs") as children:
        children.start("one", [sys.executable, "-c", WAITS])
        process = children._running[0][1]
        children.check()
        assert process.poll() is None
    assert process.poll() is not None


def test_a_process_that_has_ended_says_why(tmp_path):
    with Children(tmp_path) as children:
        children.start("one", [sys.executable, "-c", "print('no model here'); raise SystemExit(2)"])
        with pytest.raises(ExampleError, match="one ended: no model here"):
            children.wait_for(["http://127.0.0.1:9/health"], 10)


def test_a_port_that_stays_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ExampleError, match=f"port {port} is in use"):
            wait_for_free([port], seconds=0.1)


def test_what_nobody_serves_does_not_answer():
    assert not answers("http://127.0.0.1:9/health")
    with pytest.raises(ExampleError, match="does not answer"):
        fetch("http://127.0.0.1:9/metrics")


def test_the_packages_that_a_python_lacks_are_named(tmp_path):
    assert missing_modules(Path(sys.executable), ("json", "no_such_package")) == ["no_such_package"]
    with pytest.raises(ExampleError, match="does not run"):
        missing_modules(tmp_path / "python", ("json",))
