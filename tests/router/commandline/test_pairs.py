"""`touchstone pairs`: what it prints, what it writes out, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from tests_history import Life, bad, living
from typer.testing import CliRunner, Result

from router.commandline.pairs import pairs


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        life.start()
        life.serve(0, 20, bad)
        life.tick()
        yield life


def touchstone(life: Life, *arguments: object) -> Result:
    app = typer.Typer()
    app.command()(pairs)
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, [*words, "--config", str(life.config.path)], catch_exceptions=False)


def test_the_worst_pairs_of_a_slice_are_shown_first(life: Life) -> None:
    done = touchstone(life, "support", "--metric", "agreement", "--worst", 2, "--slice", "x-language=hi")

    assert done.exit_code == 0
    assert done.stdout.index("1. live-3") < done.stdout.index("2. live-13")
    assert "question 3" in done.stdout
    assert "x-language=hi" in done.stdout


def test_json_has_the_same_and_where_to_go_on(life: Life) -> None:
    first = json.loads(touchstone(life, "support", "-m", "agreement", "--worst", 4, "--disagreeing", "--json").stdout)
    rest = json.loads(
        touchstone(
            life,
            "support",
            "-m",
            "agreement",
            "--worst",
            4,
            "--disagreeing",
            "--json",
            "--cursor",
            first["next_cursor"],
        ).stdout
    )

    assert [pair["pair"] for pair in first["pairs"]] == ["live-0", "live-3", "live-6", "live-10"]
    assert [pair["pair"] for pair in rest["pairs"]] == ["live-13", "live-16"]
    assert (rest["next_cursor"], first["epoch"]) == (None, 1)


def test_pairs_are_written_out_to_be_labelled_without_telling_whose_answer_is_whose(life: Life, tmp_path: Path) -> None:
    file = tmp_path / "label.jsonl"

    done = touchstone(life, "support", "-m", "agreement", "--worst", 600, "--disagreeing", "--export", file)

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert done.stdout == f"{file}: 6 pairs to label\n"
    assert {frozenset((line["answer_a"], line["answer_b"])) for line in lines} == {frozenset(("yes", "no"))}
    assert "control" not in file.read_text()
    again = touchstone(life, "support", "-m", "agreement", "--export", file)
    assert (again.exit_code, "cannot be written" in again.stderr) == (2, True)


def test_an_unblinded_file_names_the_variants(life: Life, tmp_path: Path) -> None:
    file = tmp_path / "open.jsonl"
    touchstone(life, "support", "-m", "agreement", "--best", 1, "--export", file, "--unblinded")

    [line] = map(json.loads, file.read_text().splitlines())
    assert (line["control"]["answer"], line["treatment"]["answer"], line["label"]) == ("yes", "yes", None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["suport"], "no experiment 'suport'"),
        (["support", "--worst", 1, "--best", 1], "exclude each other"),
        (["support", "--export", "x.jsonl"], "needs --metric"),
        (["support", "--worst", 0], "limit is 0"),
        (["support", "--slice", "hi"], "attribute=value"),
        (["support", "--disagreeing"], "needs a metric"),
        (["support", "--cursor", "x"], "cursor"),
    ],
)
def test_what_cannot_be_asked_is_one_line(life: Life, arguments: list, said: str) -> None:
    done = touchstone(life, *arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert said in line
