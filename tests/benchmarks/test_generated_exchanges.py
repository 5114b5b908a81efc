"""Generated exports: labelled, the same for the same seed, and in the form of a real one."""

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.generated_exchanges import Traffic, generate
from experiments.config import load
from experiments.exporting.manifest import MANIFEST, Manifest
from experiments.mirroring import drawn
from experiments.warehouse import analyze
from experiments.warehouse.sources import opened

TRAFFIC = Traffic(30_000, seed=1)
"""25,000 requests: 500 s."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated")
    assert len(list(generate(path, TRAFFIC, chunk=10_000))) == 3
    return path


def table(folder: Path, name: str) -> pa.Table:
    return pq.read_table(sorted((folder / name).rglob("*.parquet")), partitioning=None)


def test_it_says_that_it_is_generated(folder: Path) -> None:
    assert msgspec.json.decode((folder / MANIFEST).read_bytes())["generated"]["seed"] == TRAFFIC.seed
    assert "never took place" in (folder / "GENERATED.md").read_text(encoding="utf-8")


def test_the_manifest_tells_its_rows_and_the_columns_of_a_real_export(folder: Path) -> None:
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    for name in ("exchanges", "outcomes", "feedback"):
        found, told = table(folder, name), manifest.tables[name]
        assert (found.num_rows, found.column_names) == (told.rows, list(told.columns))
        seqs = found["seq"].to_pylist()
        assert seqs == sorted(set(seqs))
        assert told.parts[-1].last_seq == seqs[-1]
    assert manifest.tables["exchanges"].rows == pytest.approx(TRAFFIC.exchanges, rel=0.02)


def test_what_is_mirrored_is_what_the_ids_say(folder: Path) -> None:
    rows = table(folder, "exchanges").select(["id", "role", "pair"]).to_pylist()
    live = [row for row in rows if row["role"] == "live"]
    assert all((drawn(row["id"]) < 20) == (row["pair"] == row["id"]) for row in live)
    assert {row["pair"] for row in rows if row["role"] == "shadow"} == {row["pair"] for row in live if row["pair"]}


def test_the_same_seed_gives_the_same_rows_whatever_the_chunks_and_another_seed_others(
    folder: Path, tmp_path: Path
) -> None:
    list(generate(tmp_path / "same", TRAFFIC))
    list(generate(tmp_path / "other", TRAFFIC._replace(seed=2)))
    for name in ("exchanges", "outcomes", "feedback"):
        assert table(tmp_path / "same", name).equals(table(folder, name))
        assert not table(tmp_path / "other", name).equals(table(folder, name))


# Ibis 12 calls it, and DuckDB 2 would rather not.
@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
def test_an_analysis_finds_the_slice_that_was_harmed(folder: Path) -> None:
    experiment = load(folder / "config.toml").experiments["generated"]
    with opened(folder, experiment.name) as source:
        analysis = analyze(source, experiment, as_of="all")
    estimates = {r.slice: r.estimate for r in analysis.metrics if r.metric == "json_valid" and r.estimate is not None}
    assert min(estimates, key=estimates.__getitem__) == "x-language=hinglish"
    assert estimates["x-language=hinglish"] < -0.05
    assert all(abs(split.log_bayes_factor) < 10 for split in analysis.splits)


def test_a_folder_that_has_an_export_is_left_alone(folder: Path) -> None:
    with pytest.raises(FileExistsError, match="has an export already"):
        next(generate(folder, TRAFFIC))
