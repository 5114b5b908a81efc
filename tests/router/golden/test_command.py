"""`touchstone golden run`: what it shows, its exit codes, and which runs are kept."""

import json
from pathlib import Path

import pytest
from tests_config import make_config
from tests_history import CONFIG, living
from typer.testing import CliRunner

from experiments.golden.store import GuardStore
from router.cli import app
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.golden.command import run_now

ITEM = '{"id": "%d", "prompt": "question %d", "expected": {"contains": ["question %d"]}}\n'


def fail(message: str) -> None:
    raise AssertionError(message)


def write_golden(folder: Path, items: int = 60) -> Path:
    path = folder / "golden.jsonl"
    path.write_text("".join(ITEM % (n, n, n) for n in range(items)))
    return path


@pytest.mark.parametrize(
    ("behaviour", "items", "code", "says"),
    [
        (Behaviour(), 60, 0, "Passed"),
        (Behaviour(answer=lambda _: "no"), 60, 1, "Failed"),
        (Behaviour(), 4, 3, "Cannot tell"),
    ],
)
def test_the_exit_code_says_what_the_run_says(tmp_path: Path, behaviour, items: int, code: int, says: str) -> None:
    golden = write_golden(tmp_path, items)
    with serving(FakeBackend()) as control, serving(FakeBackend(behaviour)) as treatment:
        config = make_config(tmp_path, control, treatment, golden=golden)

        shown, found = run_now(config, config.experiments["support"], None, fail, quiet=True)  # type: ignore[arg-type]

    assert (found, str(shown.parts[0]).partition(":")[0]) == (code, says)
    assert len(json.loads(shown.json())["items"]) == items


def test_a_run_is_kept_with_who_asked_for_it_unless_one_does_not_want_that(tmp_path: Path) -> None:
    write_golden(tmp_path)
    with serving(FakeBackend()) as control, serving(FakeBackend()) as treatment:
        text = CONFIG.replace('url = "http://127.0.0.1:9"', f'url = "{control}"', 1)
        text = text.replace('url = "http://127.0.0.1:9"', f'url = "{treatment}"', 1)
        text = text.replace('treatment = "int4"', 'treatment = "int4"\ngolden = "golden.jsonl"')
        with living(tmp_path, text) as life:
            life.start()
            arguments = ["golden", "run", "support", "--json", "-c", str(life.config.path)]
            kept = CliRunner().invoke(app, arguments, catch_exceptions=False)
            CliRunner().invoke(app, [*arguments, "--no-keep"], catch_exceptions=False)

            [run] = GuardStore(life.store.engine).runs("support", 1)

    assert (kept.exit_code, json.loads(kept.stdout)["verdict"]["result"]) == (0, "passed")
    assert (run.number, run.result, run.actor.partition(":")[0]) == (1, "passed", "cli")


def test_an_experiment_without_a_golden_set_is_told_in_one_line(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        arguments = ["golden", "run", "support", "-c", str(life.config.path)]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)

    assert result.exit_code == 2
    assert "names no golden set" in result.stderr
    assert len(result.stderr.splitlines()) == 1
