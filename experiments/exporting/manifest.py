"""What a folder of an export says of itself: `manifest.json`."""

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec

from experiments.exporting.files import Kind
from experiments.stored import Epoch

FORMAT_VERSION = 2
"""Of folders, part files and this manifest. Format 1 had all part files of a table beside the manifest."""
SCHEMA_VERSION = 2
"""Of tables and columns, see `experiments.exporting.schema`."""
MANIFEST = "manifest.json"
_SAME = ("schema_version", "experiment", "kind", "texts")


class ExportError(Exception):
    """It cannot be exported so; says why."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    file: str
    """Relative to the folder, with `/`."""
    epoch: int | None = None
    """Of all its rows."""
    day: str = ""
    """Of all its rows, by their `at`: YYYY-MM-DD (UTC)."""
    rows: int
    first_seq: int
    last_seq: int


class TableParts(msgspec.Struct, kw_only=True):
    """A table and its files."""

    columns: dict[str, str]
    """Name -> `integer`, `number`, `boolean`, `text` or `json`."""
    rows: int = 0
    last_seq: int = 0
    """How far the store has been written out; the next export goes on behind it."""
    parts: list[Part] = []

    def add(self, parts: list[Part]) -> None:
        """Take up new parts."""
        self.parts += parts
        self.rows += sum(part.rows for part in parts)

    def written_upto(self, epoch: int | None) -> int:
        """Return up to which `seq` the rows of an epoch (of all, if None) are written out.

        An export that was cut off has parts beyond `last_seq`; an epoch's rows are written in the order of `seq`.
        """
        mine = (part.last_seq for part in self.parts if epoch is None or part.epoch == epoch)
        return max((self.last_seq, *mine))


class Manifest(msgspec.Struct, kw_only=True):
    """What a folder of an export contains."""

    format_version: int = FORMAT_VERSION
    schema_version: int = SCHEMA_VERSION
    export_id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    """Of this folder: the same one however often it is added to."""
    store_revision: str
    """Of the store's schema, when rows were last written."""
    experiment: str
    kind: Kind
    texts: bool
    """Whether prompts and answers are in it."""
    since: float | None = None
    """Wall-clock time in seconds since the epoch before which rows were left out; of the first export."""
    exported_at: list[float] = []
    """When each export was complete, in seconds since the epoch."""
    first_at: float | None = None
    """Of the earliest exchange in it, in seconds since the epoch."""
    last_at: float | None = None
    epochs: list[Epoch] = []
    """With their whole configurations."""
    tables: dict[str, TableParts] = {}


class _Version(msgspec.Struct):
    format_version: int


def continued(folder: Path, fresh: Manifest) -> Manifest:
    """Return the manifest of a folder, or the fresh one if it has none, with the epochs that there are by now.

    Raises:
        ExportError: What is there is an export of something else, or in another form.
    """
    path = folder / MANIFEST
    if not path.exists():
        return fresh
    known = read_manifest(folder)
    for field in _SAME:
        there, asked = getattr(known, field), getattr(fresh, field)
        if there != asked:
            raise ExportError(
                f"{folder} has an export whose {field} is {there!r}, not {asked!r}: choose another folder"
            )
    _check_epochs(folder, known, fresh)
    known.epochs, known.store_revision = fresh.epochs, fresh.store_revision
    return known


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder.

    Raises:
        ExportError: There is none, it cannot be read, or it is of another format.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content, type=_Version).format_version
        if version != FORMAT_VERSION:
            raise ExportError(
                f"{folder} has an export of format {version}, and this version reads and writes format "
                f"{FORMAT_VERSION}: choose another folder"
            )
        return msgspec.json.decode(content, type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise ExportError(f"{path} cannot be read: {error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, at once and whole.

    Raises:
        OSError: It cannot be written.
    """
    part = folder / f"{MANIFEST}.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    part.replace(folder / MANIFEST)


def _check_epochs(folder: Path, known: Manifest, fresh: Manifest) -> None:
    """Refuse another store: an epoch that was exported is in its store for ever, as it was."""
    there = {epoch.number: epoch for epoch in fresh.epochs}
    for epoch in known.epochs:
        now = there.get(epoch.number)
        if now is None or (now.config_hash, now.started_at) != (epoch.config_hash, epoch.started_at):
            raise ExportError(
                f"{folder} has an epoch {epoch.number} that the store has not: it is an export of another store"
            )
