"""`touchstone labels import`: from a labelled file into the store, twice with the same result as once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_history import Life, bad, living
from typer.testing import CliRunner, Result

from experiments.pairs.labelling import exported
from experiments.pairs.labels import LabelStore
from experiments.pairs.reader import PairQuery, PairReader
from router.commandline.labels import labels


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 4, bad)
        life.tick()
        yield life


def touchstone(life: Life, *arguments: str | Path) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(labels, ["import", *words, "--config", str(life.config.path)], catch_exceptions=False)


def values(life: Life) -> dict[str, tuple[str, str]]:
    found = LabelStore(life.store.engine).latest((f"live-{n}" for n in range(4)), "agreement")
    return {pair: (label.value, label.source) for pair, label in found.items()}


def test_what_was_written_out_and_labelled_comes_back_to_its_pairs(life: Life, tmp_path: Path) -> None:
    pairs = {pair.pair: pair for pair in PairReader(life.store.engine).page(PairQuery("support")).pairs}
    lines = [exported(pairs[f"live-{number}"], "agreement") for number in range(3)]
    lines[0]["label"] = "a" if lines[0]["answer_a"] == "yes" else "b"
    lines[1]["label"] = "tie"
    file = tmp_path / "labelled.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))

    tried = touchstone(life, file, "--dry-run")
    nothing = values(life)
    done, again = touchstone(life, file, "--source", "asha"), touchstone(life, file, "--source", "asha")

    assert (tried.exit_code, done.exit_code, again.exit_code) == (0, 0, 0)
    assert "nothing is stored" in tried.stdout
    assert nothing == {}
    assert values(life) == {"live-0": ("control", "asha"), "live-1": ("tie", "asha")}
    assert "2 labels, 2 new; 1 lines without a label, 0 that cannot be used" in done.stdout
    assert "2 labels, 0 new" in again.stdout


def test_bad_lines_are_told_with_their_numbers_and_the_good_ones_are_stored(life: Life, tmp_path: Path) -> None:
    file = tmp_path / "labelled.jsonl"
    good = '{"pair": "live-0", "metric": "agreement", "label": "tie"}'
    file.write_text(
        "\n".join([good, "no json", *['{"pair": "x\\u001b[2J", "metric": "agreement", "label": "a"}'] * 30])
    )

    done = touchstone(life, file)

    said = done.stderr.splitlines()
    assert done.exit_code == 2
    assert said[1].startswith(f"{file}:2: is no line of labels")
    assert said[2] == f'{file}:3: no pair "x\\x1b[2J" of a configured experiment is stored'
    assert said[-1] == "and 11 more"
    assert values(life) == {"live-0": ("tie", "person")}


def test_a_file_that_is_not_there_is_one_line(life: Life, tmp_path: Path) -> None:
    done = touchstone(life, tmp_path / "none.jsonl")

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [f"touchstone: {tmp_path}/none.jsonl cannot be read: No such file or directory"]
