"""`touchstone bench-pair`: what it takes, what it refuses in one line, its exit codes."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from router.commandline.bench_pair import bench_pair
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving

ITEM = '{"id": "%d", "prompt": "question %d", "expected": {"contains": ["question %d"]}, "tags": ["all"]}\n'
app = typer.Typer()
app.command()(bench_pair)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def write_golden(folder: Path) -> Path:
    path = folder / "golden.jsonl"
    path.write_text("".join(ITEM % (n, n, n) for n in range(40)))
    return path


def test_two_urls_are_compared_in_one_table(tmp_path: Path) -> None:
    golden = write_golden(tmp_path)
    with serving(FakeBackend()) as control, serving(FakeBackend(Behaviour(answer=lambda _: "no"))) as treatment:
        arguments = ("--control", control, "--treatment", treatment, "--golden", golden, "--items", 20, "--stream")
        shown, data = run(*arguments), run(*arguments, "--json")

    assert (shown.exit_code, data.exit_code) == (0, 0)
    assert "accuracy (n=20) 100.0 % 0.0 % -100.0 " in " ".join(shown.stdout.split())
    found = json.loads(data.stdout)
    assert found["accuracy"]["by_tag"]["all"][""]["only_a"] == 20
    assert found["speeds"]["control"]["first_p50_ms"] > 0, "a stream was asked for"
    assert found["speeds"]["control"]["tokens_per_s"] > 0


def test_an_experiment_brings_the_pair(tmp_path: Path) -> None:
    write_golden(tmp_path)
    backend = FakeBackend()
    with serving(backend) as url:
        (tmp_path / "config.toml").write_text(f"""\
[backends.original]
url = "{url}"
[backends.int4]
url = "{url}"
[experiments.support]
owner = "o"
hypothesis = "h"
match = {{ path = "/v1/chat/completions" }}
control = "original"
treatment = "int4"
ramp = [50]
unit = "header:x-user-id"
golden = "golden.jsonl"
[experiments.support.guardrails]
quality = {{ scorer = "exact", margin = 0.02 }}
""")
        done = run("support", "--config", tmp_path / "config.toml", "--warmup", 0, "--json")

    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"]["overall"]["n"] == 40
    assert len(backend.received) == 80


def test_a_variant_that_never_answers_is_exit_code_3(tmp_path: Path) -> None:
    with serving(FakeBackend()) as url, serving(FakeBackend(Behaviour(status=500))) as broken:
        arguments = ("--control", url, "--treatment", broken, "--golden", write_golden(tmp_path), "--items", 2)
        done = run(*arguments)

    assert done.exit_code == 3
    assert done.stdout.rstrip().endswith("Cannot tell: treatment answered no request.")


PAIR = ("--control", "http://127.0.0.1:1", "--treatment", "http://127.0.0.1:1", "--golden", "golden.jsonl")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name an experiment, or give --control URL, --treatment URL and --golden FILE"),
        (PAIR[:4], "name an experiment, or give --control URL, --treatment URL and --golden FILE"),
        ((*PAIR, "--protocol", "grpc"), "--protocol 'grpc' is none of openai, ollama, triton, raw"),
        ((*PAIR, "--margin", "2"), "--margin 2 must be a share above 0 and below 1"),
        ((*PAIR, "--body", "{"), "--body '{' is no JSON"),
        ((*PAIR, "--body", "[]"), "--body '[]' must be a JSON object"),
        ((*PAIR, "--model-file", "f32.gguf"), "--model-file 'f32.gguf' must be control=PATH or treatment=PATH"),
        ((*PAIR, "--model-file", "control=away.gguf"), "--model-file away.gguf: No such file or directory"),
        ((*PAIR, "--cluster", "template"), "--cluster 'template' is a tag of no item; there are: all"),
        ((*PAIR, "--prototypes", "golden.jsonl"), "prototype 0 has no expected.label"),
        ((*PAIR[:5], "away.jsonl"), "away.jsonl: No such file or directory"),
        ((*PAIR[:1], "b:1", *PAIR[2:]), "--control 'b:1' is no URL"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    write_golden(tmp_path)
    monkeypatch.chdir(tmp_path)

    done = run(*arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
