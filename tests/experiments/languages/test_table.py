"""The table of how often a language is found, and the command that prints it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from experiments.languages.table import main, read_rows, table

LABELLED = Path(__file__).parent / "labelled_texts.tsv"
ROOT = Path(__file__).parents[3]
TEXTS = """part\tlanguage\ttext
a\ten\twhere is my order please
a\thi-Latn\tmera order kab aayega
a\thi-Latn\tqwrt zxcv
a\tmr\tमाझी ऑर्डर अजून आलेली नाही, ती कधी मिळेल?
b\tcannot tell\tok
b\tfr\twhere is my order please
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.tsv"
    path.write_text(TEXTS, encoding="utf-8")
    return path


def run(*arguments: str | Path) -> str:
    app = Typer()
    app.command()(main)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_each_true_language_has_a_line_that_adds_up(file: Path) -> None:
    lines = table(read_rows(file)).splitlines()

    assert lines[2:] == [
        "| en | 1 | **1** | - | - | - | - |",
        "| hi-Latn | 2 | - | - | **1** | - | 1 |",
        "| other languages | 2 | 1 | - | - | **1** | - |",
        "| cannot tell | 1 | - | - | - | - | **1** |",
    ]


def test_the_command_names_the_texts_that_were_not_found(file: Path) -> None:
    assert run(file).splitlines()[-2:] == [
        "- hi-Latn, called cannot tell: qwrt zxcv",
        "- fr, called en: where is my order please",
    ]
    assert run(file, "--part", "a").splitlines()[-1].endswith("zxcv")


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text("text\nx\n", encoding="utf-8")

    with pytest.raises(KeyError, match="language"):
        read_rows(path)


def test_the_published_table_is_that_of_the_labelled_texts() -> None:
    rows = read_rows(LABELLED)

    assert len(rows) >= 300
    assert table(rows) in (ROOT / "docs" / "languages.md").read_text(encoding="utf-8")
