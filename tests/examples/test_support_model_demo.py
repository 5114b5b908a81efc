"""The demo as a command, in a copy with ports of its own: what it refuses, and that it leaves nothing behind."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from examples.support_model import demo
from examples.support_model.claims import Claim
from examples.support_model.demo import DemoError, Processes, Run
from examples.support_model.screen import Standing
from experiments.config import load
from experiments.evidence import Interval, Kind, MetricEvidence, Verdict

ROOT = Path(__file__).parents[2]
MODULE = "examples.support_model.demo"
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Path:
    """A folder with the demo, in which every port is another free one: two demos do not meet."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    with ExitStack() as stack:
        for port in sorted(set(ADDRESS.findall(text))):
            free = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free.getsockname()[1]}")
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    return tmp_path


def ports(folder: Path) -> list[int]:
    return [int(port) for port in ADDRESS.findall((folder / "config.toml").read_text(encoding="utf-8"))]


def refusal(folder: Path, code: str = "pass") -> str:
    """Run the demo, which must refuse, and return its one line on standard error."""
    start = f"import runpy, sys; {code}; runpy.run_module({MODULE!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", start], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_port_in_use_is_one_clear_line_and_the_last_run_is_left_alone(copy: Path, place: int) -> None:
    port = ports(copy)[place]
    (copy / "demo-run").mkdir()
    (copy / "demo-run" / "report.md").write_text("of the last run")

    with socket.create_server(("127.0.0.1", port)):
        line = refusal(copy)

    assert line == (f"demo: port {port} is in use (Address already in use); stop what uses it, or change config.toml")
    assert (copy / "demo-run" / "report.md").read_text() == "of the last run"


def test_a_missing_wheel_is_one_clear_line(copy: Path) -> None:
    line = refusal(copy, "sys.modules['xllamacpp'] = None")

    assert line == "demo: xllamacpp is not installed. Run: pip install 'touchstone-router[demo]'"


def test_a_model_file_that_was_changed_is_one_clear_line(copy: Path) -> None:
    (copy / "examples" / "support_model" / "models" / "support-q4_0.gguf").write_bytes(b"GGUF")

    assert refusal(copy).startswith("demo: checksum mismatch: ")


def test_a_configuration_that_is_gone_is_one_clear_line(copy: Path) -> None:
    (copy / "config.toml").unlink()

    assert refusal(copy) == f"demo: {copy}/config.toml:1  file: cannot be read: No such file or directory"


def test_a_folder_that_cannot_be_cleared_is_one_clear_line(copy: Path) -> None:
    (copy / "demo-run").write_text("a file where the folder should be")

    assert refusal(copy) == f"demo: Not a directory: {copy}/demo-run"


# --- a run ------------------------------------------------------------------------------------------------------------


def test_it_serves_models_and_router_until_it_is_told_to_stop_and_leaves_nothing_behind(copy: Path) -> None:
    pytest.importorskip(
        "xllamacpp", reason="llama.cpp's server is not installed: pip install 'touchstone-router[demo]'"
    )
    listen, _, *models = ports(copy)
    command = [sys.executable, "-m", MODULE, "--serve"]
    with subprocess.Popen(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            body = b'{"model": "support-web", "messages": [{"role": "user", "content": "add 31 and 46"}]}'
            request = urllib.request.Request(f"http://127.0.0.1:{listen}/v1/chat/completions", body)
            with urllib.request.urlopen(request, timeout=10) as response:
                answered = response.read()
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=30)
        finally:
            process.kill()

    assert lines[0].startswith("Three models and the router are up ("), errors
    assert lines[1].startswith(f"Serving on http://127.0.0.1:{listen}, ")
    assert b"77" in answered
    assert (process.returncode, out) == (130, "\nStopped; everything that was started has ended.\n")
    assert errors == ""
    for port in (listen, *models):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
    assert {path.name for path in (copy / "demo-run").glob("*.log")} == {
        "model-original.log", "model-int8.log", "model-int4.log", "touchstone.log",
    }  # fmt: skip


# --- its parts --------------------------------------------------------------------------------------------------------


@pytest.fixture(name="processes")
def _processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """The demo's processes, with their logs in the test's folder."""
    monkeypatch.setattr(demo, "RUN", tmp_path)
    processes = Processes()
    yield processes
    processes.stop()


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_that_ends_is_told_with_its_last_line(processes: Processes) -> None:
    processes.start("wrong", "router.fakes", "--port", "0")
    process = processes._running[0][1]
    processes.check()

    _until(lambda: process.poll() is not None)

    with pytest.raises(DemoError, match=r"^wrong ended: .*unrecognized arguments: --exit-with-parent$"):
        processes.check()


def test_stopping_ends_the_last_one_first_and_can_be_done_twice(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(
            "import pathlib, signal, sys, time\n"
            f"def end(*_):\n    pathlib.Path('ended').open('a').write('{name} ')\n    sys.exit()\n"
            f"signal.signal(signal.SIGTERM, end)\npathlib.Path('{name}').touch()\ntime.sleep(60)\n"
        )
        processes.start(name, name)
    _until(lambda: all((tmp_path / name).exists() for name in ("one", "two")))
    started = [process for _, process in processes._running]

    processes.stop()
    processes.stop()

    assert (tmp_path / "ended").read_text() == "two one "
    assert all(process.returncode is not None for process in started)


async def test_what_never_answers_is_told_with_its_url(
    processes: Processes, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_START_TIMEOUT_S", 0.3)
    config = load(copy / "config.toml", {})

    with pytest.raises(
        DemoError, match=rf"^http://{config.router.listen}/_touchstone/readyz does not answer after 0\.3 s"
    ):
        await demo._wait_until_ready(config, processes)


def _claim(slice_: str, difference: float) -> Claim:
    said = MetricEvidence(
        metric="quality", role="guardrail", kind=Kind.PAIRED, verdict=Verdict.INSUFFICIENT, units=9,
        interval=Interval(-0.1, 0.1),
    )  # fmt: skip
    return Claim("web-8bit", slice_, said, difference, 9)


@pytest.mark.parametrize(
    ("web", "mobile", "claims", "kept"),
    [
        ("promoted", "rolled_back", [_claim("", 0.0)], True),
        ("promoted", "rolled_back", [_claim("", 0.0), _claim("x-language=hi", 0.5)], True),
        ("promoted", "rolled_back", [_claim("", 0.5)], False),
        ("promoted", "running", [], False),
        ("rolled_back", "promoted", [], False),
        ("stopped", "rolled_back", [], False),
    ],
)
def test_it_has_kept_its_promise_if_both_ended_as_they_should_and_the_claims_on_all_traffic_hold(
    web: str, mobile: str, claims: list[Claim], kept: bool
) -> None:
    assert demo._as_promised({"web-8bit": Standing(web), "mobile-4bit": Standing(mobile)}, claims) is kept


@pytest.mark.parametrize(
    ("phases", "decided"),
    [
        ([], False),
        (["running", "promoted"], False),
        (["draft", "draft"], False),
        (["promoted", "rolled_back"], True),
        (["stopped", "stopped"], True),
        (["paused", "promoted"], False),
    ],
)
def test_traffic_goes_on_until_every_experiment_has_ended(phases: list[str], decided: bool) -> None:
    run = Run(load(ROOT / "config.toml", {}), Console(), Processes())
    run.standings = {f"e{number}": Standing(phase) for number, phase in enumerate(phases)}

    assert run._decided() is decided


def test_the_demos_models_are_those_of_its_configuration() -> None:
    assert load(ROOT / "config.toml", {}).backends.keys() == demo.MODELS.keys()
