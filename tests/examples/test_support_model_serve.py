from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.support_model.catalog import MODELS
from examples.support_model.errors import SupportModelError
from examples.support_model.serve import running

ROOT = Path(__file__).parents[2]
MODULE = "examples.support_model.serve"
QUESTION = {
    "messages": [{"role": "user", "content": "add 31 and 46"}],
    "max_tokens": 40,
    "temperature": 0,
    "cache_prompt": False,
}


def chat(url: str, **changes: Any) -> dict[str, Any]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(QUESTION | changes))
        response = connection.getresponse()
        body: dict[str, Any] = json.loads(response.read())
    finally:
        connection.close()
    assert response.status == 200, body
    return body


@contextmanager
def command(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command, yield it with its URL, and see to it that it is gone afterwards."""
    arguments = [sys.executable, "-m", MODULE, "--port", "0", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout
            ready, url = process.stdout.readline().split()
            assert ready == "ready"
            yield process, url
        finally:
            process.kill()


def refusal(*options: str, code: str = "pass") -> str:
    """Run the command, which must refuse, and return its one line on standard error."""
    start = f"import runpy, sys; {code}; runpy.run_module({MODULE!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", start, *options], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_a_missing_wheel_is_one_line_that_names_the_command() -> None:
    line = refusal("--port", "0", code="sys.modules['xllamacpp'] = None")
    assert line == "error: xllamacpp is not installed. Run: pip install 'touchstone-router[demo]'"


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal("--port", str(port)) == f"error: port {port} is already in use"


def test_a_missing_model_file_is_one_line(tmp_path: Path) -> None:
    shutil.copy(MODELS / "SHA256SUMS", tmp_path)
    assert refusal("--port", "0", "--models", str(tmp_path)) == f"error: missing file: {tmp_path}/support-f32.gguf"


def test_a_changed_model_file_is_one_line(tmp_path: Path) -> None:
    shutil.copy(MODELS / "SHA256SUMS", tmp_path)
    shutil.copy(MODELS / "support-q4_0.gguf", tmp_path / "support-f32.gguf")
    line = refusal("--port", "0", "--models", str(tmp_path))
    assert line.startswith(f"error: checksum mismatch: {tmp_path}/support-f32.gguf has SHA-256 a2521e7b")


def test_a_file_that_llama_cpp_cannot_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "support-f32.gguf").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (tmp_path / "SHA256SUMS").write_text(f"{empty}  support-f32.gguf\n")
    assert refusal("--port", "0", "--models", str(tmp_path)).startswith("error: llama.cpp could not serve")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_within_a_second_even_with_a_request_in_flight(number: signal.Signals) -> None:
    with command("--model", "q4_0") as (process, url):
        chat(url)
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(QUESTION | {"max_tokens": 200, "ignore_eos": True})
        )
        process.send_signal(number)
        assert process.wait(timeout=1) == 0
        connection.close()
        assert process.stdout
        assert process.stderr
        assert (process.stdout.read(), process.stderr.read()) == ("", ""), "nothing but the ready line is printed"


def test_with_exit_with_parent_it_stops_when_standard_input_ends() -> None:
    with command("--exit-with-parent") as (process, _):
        assert process.stdin
        process.stdin.close()
        assert process.wait(timeout=1) == 0


def test_without_exit_with_parent_the_end_of_standard_input_means_nothing() -> None:
    with command() as (process, url):
        assert process.stdin
        process.stdin.close()
        time.sleep(0.1)
        assert chat(url)


def test_any_model_name_is_answered_and_the_answer_bears_the_servers_own() -> None:
    with running("f32", name="original") as url:
        for model in ("support", "no-such-model", "", None):
            body = chat(url, model=model)
            assert body["choices"][0]["message"]["content"] == '{"intent":"total","sum":77}'
            assert body["model"] == "original"
            assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
        assert chat(url, cache_prompt=True)["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_running_refuses_with_the_commands_message(tmp_path: Path) -> None:
    with pytest.raises(SupportModelError, match=r"^missing file: .*SHA256SUMS$"), running("f32", folder=tmp_path):
        pass


def test_running_leaves_no_server_behind() -> None:
    with running("f32") as url:
        chat(url)
    with pytest.raises(ConnectionRefusedError):
        chat(url)
