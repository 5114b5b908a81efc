"""The page of the command line is made from the commands, and is up to date."""

from pathlib import Path

from router.commandline.reference import commands, reference

PAGE = Path(__file__).parents[3] / "docs" / "command-line.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference(), "run `make docs`"


def test_every_command_has_a_section_and_nothing_hidden_is_told() -> None:
    page = reference()

    for name in commands():
        assert f"\n### `touchstone {name}" in page
    assert "--exit-with-parent" not in page
    assert "| `--reason`, `-r` | `text` | required | Why; it is kept with the change. |" in page
