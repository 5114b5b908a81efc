"""Generates an export: as many exchanges as asked for, in Parquet, in the form that `touchstone export` writes.

    python -m benchmarks.generated_exchanges --exchanges 1_000_000 --out FOLDER

Nothing in it was measured. The folder says so: `GENERATED.md`, and `generated` in `manifest.json`. What is drawn, and
with which chances, stands in `benchmarks/generated_exchanges.sql`. Memory stays that of a chunk of requests, and the
same seed gives the same rows with the same version of DuckDB, whose `hash` the chances come from.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.progress import track

from experiments.config import config_hash, load
from experiments.exporting.export import SCHEMA, Export
from experiments.exporting.manifest import MANIFEST, Manifest, Part, TableParts
from experiments.exporting.schema import schema
from experiments.mirroring import first_draw_at
from experiments.store import open_store
from experiments.stored import Epoch

STARTED_AT = 1_789_948_800.0
"""A midnight (UTC), so that no chunk lies in two days; in seconds since the epoch."""
REQUESTS_PER_S = 50
_DAY_S = 86_400
MIRROR_PERCENT = 20
EXCHANGES_PER_UNIT = 20
EXPERIMENT = "generated"
CHUNK = REQUESTS_PER_S * _DAY_S // 5
"""Requests that are made at once; a day is a whole number of chunks."""
_ROW_GROUP_ROWS = 100_000
_SQL = Path(__file__).with_suffix(".sql")

_CONFIG = f"""\
[router]
listen = "127.0.0.1:8080"
[backends.original]
url = "http://127.0.0.1:9001"
[backends.int4]
url = "http://127.0.0.1:9002"
[experiments.{EXPERIMENT}]
match = {{ path = "/v1/chat/completions" }}
control = "original"
treatment = "int4"
ramp = [5, 10]
mirror_percent = {MIRROR_PERCENT}
unit = "header:x-user-id"
slices = ["header:x-language", "header:x-channel"]
[experiments.{EXPERIMENT}.guardrails]
json_valid = {{ scorer = "json_valid", margin = 0.05 }}
errors = {{ max_relative = 2.0 }}
thumbs_up = {{ feedback = true, max_relative = 2.0 }}
[experiments.{EXPERIMENT}.goals]
latency = {{ better_by = "10%" }}
"""
_LABEL = """\
# Generated data

{exchanges:,} exchanges of the experiment `{experiment}` that never took place: no user asked, and no model answered.
They were drawn at random (seed {seed}, DuckDB {duckdb}) to measure how long an analysis takes. No figure in here says
anything of a model.

    python -m benchmarks.generated_exchanges --exchanges {asked} --seed {seed} --out FOLDER
"""


class Traffic(NamedTuple):
    """What is generated."""

    exchanges: int
    """Live and mirrored ones together, as near to it as chance allows."""
    seed: int

    @property
    def requests(self) -> int:
        """Return the number of live exchanges."""
        return max(1, round(self.exchanges / (1 + MIRROR_PERCENT / 100)))

    @property
    def units(self) -> int:
        """Return how many units there are; a few of them never come."""
        return max(1, self.exchanges // EXCHANGES_PER_UNIT)

    @property
    def offset(self) -> int:
        """Return where the numbers of this seed's draws begin: 56 bits, far from those of another seed."""
        return int.from_bytes(blake2b(str(self.seed).encode(), digest_size=7).digest())


def generate(folder: Path, traffic: Traffic, *, memory_limit: str = "2GB", chunk: int = CHUNK) -> Iterator[int]:
    """Write an export of generated exchanges, and yield the number of exchanges of each part.

    Args:
        folder: Made if it is not there.
        traffic: How much, and by which seed.
        memory_limit: Of DuckDB.
        chunk: How many requests are made at once, a fraction of a day's; the rows are the same whatever it is.

    Raises:
        FileExistsError: The folder has an export already.
    """
    import duckdb  # noqa: PLC0415  # an extra

    if (folder / MANIFEST).exists():
        raise FileExistsError(f"{folder} has an export already: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(_CONFIG, encoding="utf-8")
    manifest = _manifest(folder / "config.toml")
    statements = _statements()
    with duckdb.connect() as database:
        database.execute(f"SET memory_limit = '{memory_limit}'")
        database.execute(f"SET temp_directory = '{folder / 'spill'}'")
        database.execute("SET enable_progress_bar = false")
        database.execute(statements["macros"].format(seed=traffic.seed, offset=traffic.offset))
        for first in range(0, traffic.requests, chunk):
            last = min(first + chunk, traffic.requests)
            database.execute(statements["requests"].format(first=first, last=last, **_settings(traffic)))
            for table, parts in manifest.tables.items():
                _write(database, folder, statements, table, parts, _day(first))
            yield manifest.tables["exchanges"].parts[-1].rows
    _note(folder, manifest, traffic, duckdb.__version__)


def parts_of(traffic: Traffic) -> int:
    """Return how many parts each table will have."""
    return -(-traffic.requests // CHUNK)


def _manifest(config: Path) -> Manifest:
    loaded = load(config)
    experiment = loaded.experiments[EXPERIMENT]
    epoch = Epoch(
        experiment=EXPERIMENT,
        number=1,
        config_hash=config_hash(experiment, loaded.backends),
        config=experiment.model_dump(mode="json"),
        started_at=STARTED_AT,
    )
    # An export of an empty store says what the columns of a real one are.
    with tempfile.TemporaryDirectory() as scratch, closing(open_store(f"sqlite:///{scratch}/empty.db")) as store:
        store.migrate()
        manifest = Export(store.engine, EXPERIMENT, config.parent, "parquet").manifest
    manifest.epochs, manifest.exported_at = [epoch], [time.time()]
    return manifest


def _statements() -> dict[str, str]:
    """Return the statements of the file beside this one, by the name that stands above each."""
    pieces = _SQL.read_text(encoding="utf-8").split("-- name: ")[1:]
    return {name: statement for name, _, statement in (piece.partition("\n") for piece in pieces)}


def _day(request: int) -> str:
    return datetime.fromtimestamp(STARTED_AT + request / REQUESTS_PER_S, UTC).date().isoformat()


def _settings(traffic: Traffic) -> dict[str, Any]:
    return {
        "units": traffic.units,
        "second_stage": round(0.3 * traffic.requests),
        "started_at": STARTED_AT,
        "requests_per_s": REQUESTS_PER_S,
        "unmirrored_from": first_draw_at(MIRROR_PERCENT),
    }


def _write(database: Any, folder: Path, statements: dict[str, str], table: str, parts: TableParts, day: str) -> None:
    """Write a part of a table, with the columns that an export has, in their order and types; none if it is empty."""
    if table not in statements:
        return
    types = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
    # Quoted: `at` is a word of DuckDB's.
    casts = ((f'"{name}"', types.get(kind, "VARCHAR")) for name, kind in parts.columns.items())
    columns = ", ".join(f"made.{name}::{type_} AS {name}" for name, type_ in casts)
    place = f"{table}/epoch_number=1/day={day}"
    name = f"{place}/part-{1 + sum(part.day == day for part in parts.parts):05}.parquet"
    (folder / place).mkdir(parents=True, exist_ok=True)
    query = f"SELECT {columns} FROM ({statements[table].format(experiment=EXPERIMENT)}) AS made"
    form = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP_ROWS}"
    (rows,) = database.execute(f"COPY ({query}) TO '{folder / name}' ({form})").fetchone()
    if not rows:
        (folder / name).unlink()
        return
    first, last = database.execute(f"SELECT min(seq), max(seq) FROM '{folder / name}'").fetchone()
    parts.add([Part(file=name, epoch=1, day=day, rows=rows, first_seq=first, last_seq=last)])
    parts.last_seq = last


def _note(folder: Path, manifest: Manifest, traffic: Traffic, duckdb: str) -> None:
    """Write the manifest and the label, which both say that this is generated."""
    manifest.first_at = STARTED_AT
    manifest.last_at = STARTED_AT + (traffic.requests - 1) / REQUESTS_PER_S
    rows = manifest.tables["exchanges"].rows
    said = {"exchanges": rows, "seed": traffic.seed, "duckdb": duckdb, "by": "benchmarks.generated_exchanges"}
    text = msgspec.json.encode(msgspec.to_builtins(manifest) | {"generated": said})
    (folder / MANIFEST).write_bytes(msgspec.json.format(text, indent=2) + b"\n")
    columns = msgspec.json.encode(schema(with_texts=False))
    (folder / SCHEMA).write_bytes(msgspec.json.format(columns, indent=2) + b"\n")
    label = _LABEL.format(experiment=EXPERIMENT, asked=traffic.exchanges, **said)
    (folder / "GENERATED.md").write_text(label, encoding="utf-8")


def main() -> None:
    """Generate, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=20_260_901)
    options = parser.parse_args()
    traffic = Traffic(options.exchanges, options.seed)
    rows = sum(track(generate(options.out, traffic), description="generating", total=parts_of(traffic)))
    print(f"{options.out}: {rows:,} generated exchanges")


if __name__ == "__main__":
    main()
