"""`touchstone export`: what it says, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_commandline import one_line, touchstone
from tests_history import CONFIG, Life, living


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        life.start()
        life.serve(0, 10)
        life.tick()
        yield life


def test_it_says_what_it_has_written_and_the_second_time_that_nothing_is_new(life: Life, tmp_path: Path) -> None:
    arguments = ("export", "support", "--out", tmp_path / "out", "-c", life.config.path)

    first, second = touchstone(*arguments), touchstone(*arguments)

    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout.startswith(f"{tmp_path / 'out'}: 20 exchanges, 60 outcomes, 1 look, 1 transition")
    assert second.stdout == f"{tmp_path / 'out'}: nothing new\n"


def test_as_json_it_prints_the_manifest(life: Life, tmp_path: Path) -> None:
    done = touchstone("export", "support", "-o", tmp_path / "out", "--json", "-c", life.config.path)

    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_what_cannot_be_exported_so_is_one_line(life: Life, tmp_path: Path) -> None:
    arguments = ("export", "support", "-o", tmp_path / "out", "-c", life.config.path)

    assert one_line(touchstone(*arguments, "--format", "xml")) == "'xml' is no format: jsonl or parquet"
    assert one_line(touchstone(*arguments, "--since", "now")).startswith("'now' is no day and no moment: YYYY-MM-DD")
    (tmp_path / "file").touch()
    blocked = one_line(touchstone("export", "support", "-o", tmp_path / "file" / "out", "-c", life.config.path))
    assert blocked.endswith("cannot be written: Not a directory")


def test_the_schema_is_printed_without_a_configuration() -> None:
    printed = json.loads(touchstone("export", "--schema").stdout)

    assert (printed["format_version"], printed["schema_version"]) == (2, 2)
    columns = {column["name"]: column for table in printed["tables"] for column in table["columns"]}
    assert columns["latency_ms"] == {
        "name": "latency_ms",
        "type": "number",
        "nullable": True,
        "unit": "ms",
        "meaning": "From sending to the last byte of the body; null if there was none.",
    }


def test_a_target_that_it_cannot_go_to_is_one_line_and_nothing_is_written(life: Life, tmp_path: Path) -> None:
    arguments = ("export", "support", "-o", tmp_path / "out", "-c", life.config.path)

    assert one_line(touchstone(*arguments, "--to", "mlflow")).startswith("--to mlflow needs mlflow_tracking_uri")
    assert not (tmp_path / "out").exists()


def test_an_export_that_is_too_large_to_be_logged_is_written_and_said_so(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="needs the extra `wandb`")
    with living(tmp_path, CONFIG + '[router.monitoring]\nwandb_project = "ours"\n') as life:
        life.start()
        arguments = ("export", "support", "-o", tmp_path / "out", "-c", life.config.path)

        said = one_line(touchstone(*arguments, "--to", "wandb", "--max-gib", "0"))

    assert "is written, and not logged: it has" in said
    assert said.endswith("GiB, more than --max-gib 0")
    assert (tmp_path / "out" / "manifest.json").exists()


def test_since_is_a_day_or_a_moment_in_utc(life: Life, tmp_path: Path) -> None:
    for since, rows in (("2023-11-14T22:13", 20), ("2023-11-15", 0)):
        done = touchstone(
            "export", "support", "-o", tmp_path / since[:13], "--since", since, "--json", "-c", life.config.path
        )
        assert json.loads(done.stdout)["tables"]["exchanges"]["rows"] == rows
