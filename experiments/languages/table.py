"""How often the language of a labelled text is found: `python -m experiments.languages.table FILE.tsv`.

The file has a heading and the columns `language`, `script`, `code_switched` and `text`, divided by tabs; any others are
passed over, but for `part`, by which `--part` chooses. What is printed is the table of docs/languages.md: use it with
texts of your own users.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from experiments.languages.identify import CANNOT_TELL, HINGLISH, slices_of

_SHOWN = ("en", "hi", HINGLISH)
_OTHERS = "other languages"
_WRONG_OTHER = "another of them"
_COLUMNS = (*_SHOWN, _OTHERS, CANNOT_TELL)
Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file of labelled texts.

    Raises:
        OSError: It cannot be read.
        KeyError: A column is missing.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if rows and (missing := {"language", "text"} - set(rows[0])):
        raise KeyError(f"no column {', '.join(sorted(missing))}")
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the confusion table in Markdown: a line for each true language, a column for each found one.

    Languages beside English and Hindi are one group; one taken for another of the group is counted as `another of
    them` in the column of the group.
    """
    counts = Counter((_group(row["language"]), _found(row)) for row in rows)
    return "\n".join(_lines(counts))


def _lines(counts: Counter[tuple[str, str]]) -> Iterator[str]:
    yield f"| written in | texts | {' | '.join(f'called {name}' for name in _COLUMNS)} |"
    yield f"|---|{'---|' * (len(_COLUMNS) + 1)}"
    for true in _COLUMNS:
        mine = {found: n for (language, found), n in counts.items() if language == true}
        if mine:
            yield f"| {true} | {sum(mine.values())} | {' | '.join(_cell(true, name, mine) for name in _COLUMNS)} |"


def _cell(true: str, name: str, mine: dict[str, int]) -> str:
    shown = f"**{mine.get(name, 0)}**" if name == true else str(mine.get(name, "") or "-")
    wrong = mine.get(_WRONG_OTHER, 0) if name == _OTHERS else 0
    return f"{shown} and {wrong} as {_WRONG_OTHER}" if wrong and true == _OTHERS else shown


def _group(language: str) -> str:
    return language if language in (*_SHOWN, CANNOT_TELL) else _OTHERS


def _found(row: Row) -> str:
    found = slices_of(row["text"], ["language"])["language"]
    is_other = _group(found) == _OTHERS and _group(row["language"]) == _OTHERS
    return _WRONG_OTHER if is_other and found != row["language"] else _group(found)


def main(
    file: Annotated[Path, typer.Argument(help="A file of labelled texts.", dir_okay=False, exists=True)],
    part: Annotated[str | None, typer.Option(help="Only rows of this `part`.")] = None,
) -> None:
    """Print how often the language of labelled texts is found."""
    rows = [row for row in read_rows(file) if part is None or row.get("part") == part]
    typer.echo(table(rows))
    wrong = [row for row in rows if _found(row) != _group(row["language"])]
    for row in wrong:
        typer.echo(f"- {row['language']}, called {slices_of(row['text'], ['language'])['language']}: {row['text']}")


if __name__ == "__main__":
    typer.run(main)
