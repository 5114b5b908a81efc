"""What the subcommands do: a configuration in words, processes that end when told, and readers of a store."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import text
from tests_history import CONFIG, living, write_config

from experiments.config import load
from experiments.model import Phase
from experiments.store import open_store
from router.commands import describe, load_or_fail, reading
from router.fakes.backend import FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

ROOT = Path(__file__).parents[2]


class FailedError(Exception):
    """What a command would print before it exits with 2."""


def fail(message: str) -> NoReturn:
    raise FailedError(message)


# --- configurations ---------------------------------------------------------------------------------------------------


def test_a_configuration_is_told_in_the_words_of_a_product_manager(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.replace("[experiments.support.policy]", """\
[experiments.support.goals]
cost = { better_by = "30%" }
latency = { better_by = 0.125 }
[experiments.support.policy]"""))  # fmt: skip

    first, second = describe(load_or_fail(path, fail))

    assert first == f"{path}: fine. 2 backends (original, int4), 1 experiments."
    assert second == (
        "  support: int4 against original, split 10 % -> 50 %, mirror 100 %; must not harm agreement "
        "(margin 20 points), errors (margin 20 points), complaint; must reach cost 30 % lower or latency 12.5 % lower."
    )


def test_an_experiment_without_conditions_says_so(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG[: CONFIG.index("[experiments.support.guardrails]")])

    assert [*describe(load_or_fail(path, fail))][1].endswith("must not harm nothing; must reach nothing more.")


def test_every_problem_of_a_configuration_is_told_a_line_each(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.replace("mirror_percent = 100", "mirror_percent = 101\nmirorr = 1"))

    with pytest.raises(FailedError) as caught:
        load_or_fail(path, fail)

    first, *problems = str(caught.value).splitlines()
    assert first == "the configuration has errors:"
    assert [re.sub(r"^.*config.toml:", "", problem).split()[0] for problem in problems] == ["20", "21"]


# --- reading the store ------------------------------------------------------------------------------------------------


def test_a_store_that_is_there_is_read(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()

    with reading(life.config, fail) as store:
        assert store.routes()[0].phase is Phase.RUNNING


def test_a_database_that_was_never_made_is_one_line_and_is_not_made_by_looking(tmp_path: Path) -> None:
    config = load(write_config(tmp_path), {})

    with pytest.raises(FailedError) as caught, reading(config, fail):
        pass

    assert str(caught.value) == (
        f"no database at {tmp_path}/touchstone.db: has `touchstone serve` run with this configuration?"
    )
    assert not (tmp_path / "touchstone.db").exists()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def _old_schema(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    with store.engine.begin() as connection:
        connection.execute(text("CREATE TABLE route (experiment VARCHAR)"))
    store.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.touch, "no such table: route"),
        (Path.mkdir, "unable to open database file"),
        (_garbage, "file is not a database"),
        (_old_schema, "no such column: route.epoch"),
    ],
)
def test_a_database_that_cannot_be_read_is_one_line(tmp_path: Path, make: Callable, said: str) -> None:
    config = load(write_config(tmp_path), {})
    make(tmp_path / "touchstone.db")

    with pytest.raises(FailedError) as caught, reading(config, fail) as store:
        store.routes()

    assert str(caught.value) == f"the database cannot be read: {said}"


def test_another_error_while_reading_is_not_taken_for_the_databases(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()

    with pytest.raises(ZeroDivisionError), reading(life.config, fail):
        _ = 1 / 0


# --- processes --------------------------------------------------------------------------------------------------------


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
    for _ in range(400):
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
        out, errors = process.communicate(timeout=10)

    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in out + errors
    assert len([*(tmp_path / "journal").glob("*.journal")]) == 1


def test_a_controller_makes_the_store_serves_the_admin_api_and_ends_with_its_parent(tmp_path, ports, running) -> None:
    _configured(tmp_path, ports)
    process = running("control", "--exit-with-parent")

    assert _answers(process, f"http://127.0.0.1:{ports[1]}/readyz") == b"ready\n"
    out, errors = process.communicate(timeout=15)  # closes its standard input, as the end of this process would

    assert process.returncode == 0, errors
    assert "Traceback" not in out + errors
    with reading(load(tmp_path / "config.toml", {}), fail) as store:
        assert [route.phase for route in store.routes()] == [Phase.GATED], "nobody answers at its backends"


@pytest.mark.parametrize(("command", "place"), [("proxy", 0), ("control", 1)])
def test_a_port_that_is_in_use_is_one_line_and_exit_code_2(tmp_path, ports, running, command: str, place: int) -> None:
    _configured(tmp_path, ports)
    with bind(f"127.0.0.1:{ports[place]}"):
        process = running(command)
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 2
    assert errors == f"touchstone: cannot listen on 127.0.0.1:{ports[place]}: Address already in use\n"
