"""The part files of a table: a folder for each epoch and each day, few of them open at a time, none half there.

    exchanges/epoch_number=1/day=2026-11-25/part-00001.parquet

The names of the folders are Hive's, which DuckDB, pyarrow, pandas and Spark read as columns. The key is `epoch_number`
and not `epoch`: the files have a column `epoch`, and pyarrow refuses a folder whose key has the name of a column
unless both have one type, where it makes every whole number of a key a dictionary of 32-bit integers (pyarrow 26).
"""

from __future__ import annotations

import shutil
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from experiments.exporting.files import Kind, Opener, Row, RowFile
from experiments.exporting.manifest import Part
from experiments.exporting.schema import TableSchema

MOST_OPEN = 8
"""Files of one table; with the row group that each holds, this bounds memory."""
_UNFINISHED = ".unfinished"
"""Readers of folders pass over names that begin with a dot."""
_DAY_S = 86_400


class _Place(NamedTuple):
    epoch: int
    day: int
    """Days since 1970-01-01 (UTC)."""

    @property
    def day_name(self) -> str:
        return datetime.fromtimestamp(self.day * _DAY_S, UTC).date().isoformat()

    @property
    def path(self) -> str:
        return f"epoch_number={self.epoch}/day={self.day_name}"


class _Open(NamedTuple):
    """A file that is being written."""

    file: RowFile
    name: str
    seqs: list[int]
    rows: list[int]


class PartWriter:
    """Writes new parts of one table.

    Args:
        folder: Of the export.
        table: Its columns have `seq`, `epoch` and `at`.
        kind: The form, which is also the end of the files' names.
        opener: Opens a file of that form.
        notes: What a file says of itself.
        known: Parts that are there.
    """

    def __init__(
        self,
        folder: Path,
        table: TableSchema,
        kind: Kind,
        opener: Opener,
        notes: Mapping[str, str],
        known: Iterable[Part],
    ) -> None:
        self._folder, self._table, self._kind, self._opener, self._notes = folder, table, kind, opener, notes
        names = [column.name for column in table.columns]
        self._seq, self._epoch, self._at = (names.index(name) for name in ("seq", "epoch", "at"))
        self._counts: Counter[str] = Counter(part.file.rpartition("/")[0] for part in known)
        self._open: OrderedDict[_Place, _Open] = OrderedDict()
        """The one that was written to last is last."""
        self._done: list[Part] = []

    def __repr__(self) -> str:
        return f"<PartWriter {self._table.name}: {len(self._open)} open>"

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, which have all that the table's earlier parts of their epoch have not, in the order of `seq`."""
        places: dict[tuple[int, int], list[Row]] = {}
        for row in rows:
            places.setdefault((row[self._epoch], int(row[self._at] // _DAY_S)), []).append(row)
        for (epoch, day), mine in places.items():
            target = self._at_hand(_Place(epoch, day))
            target.file.write(mine)
            target.seqs[:] = [target.seqs[0] if target.seqs else mine[0][self._seq], mine[-1][self._seq]]
            target.rows[0] += len(mine)

    def commit(self) -> list[Part]:
        """Complete all files, put them where they belong, and return them; the caller names them in the manifest."""
        while self._open:
            self._complete()
        done, self._done = sorted(self._done, key=lambda part: part.first_seq), []
        for part in done:
            target = self._folder / part.file
            target.parent.mkdir(parents=True, exist_ok=True)
            (self._folder / _UNFINISHED / part.file).replace(target)
        return done

    def abandon(self) -> None:
        """Close what is open; none of it counts."""
        while self._open:
            self._open.popitem()[1].file.close()

    def _at_hand(self, place: _Place) -> _Open:
        """Return the open file of a place; the one that has waited longest is completed for it, if there are many."""
        if place in self._open:
            self._open.move_to_end(place)
            return self._open[place]
        if len(self._open) >= MOST_OPEN:
            self._complete()
        folder = f"{self._table.name}/{place.path}"
        self._counts[folder] += 1
        name = f"{folder}/part-{self._counts[folder]:05}.{self._kind}"
        path = self._folder / _UNFINISHED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        found = self._open[place] = _Open(self._opener(path, self._table, self._notes), name, [], [0])
        return found

    def _complete(self) -> None:
        place, done = self._open.popitem(last=False)
        done.file.close()
        first, last = done.seqs
        self._done.append(
            Part(
                file=done.name, epoch=place.epoch, day=place.day_name, rows=done.rows[0], first_seq=first, last_seq=last
            )
        )


def clear(folder: Path, kind: Kind, tables: Mapping[str, Iterable[Part]]) -> None:
    """Remove what an export that was cut off has left: files that are half there, and parts that no manifest names.

    Args:
        folder: Of the export.
        kind: The form of its files.
        tables: Table -> the parts that the manifest names.

    Raises:
        OSError: It cannot be removed.
    """
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
    for table, parts in tables.items():
        named = {part.file for part in parts}
        for path in (folder / table).glob(f"epoch_number=*/day=*/part-*.{kind}"):
            if path.relative_to(folder).as_posix() not in named:
                path.unlink()
