"""What was refused is told by a file, from its first refusal on, until it is taken away."""

from pathlib import Path

import pytest

from router.processes.reload_status import FILE, RefusedConfig, clear_refused, read_refused, write_refused


def test_nothing_was_refused_at_first_and_taking_that_away_is_no_error(tmp_path: Path) -> None:
    clear_refused(tmp_path / "not there yet")

    assert read_refused(tmp_path / "not there yet") is None


def test_the_newest_problems_are_told_with_the_time_of_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on the way"
    write_refused(folder, ["config.toml:5: one"], 100.0)
    write_refused(folder, ["config.toml:6: two", "config.toml:7: three"], 200.0)

    assert read_refused(folder) == RefusedConfig(100.0, ["config.toml:6: two", "config.toml:7: three"])
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_it_is_said_in_one_line() -> None:
    refused = RefusedConfig(1_700_000_000.0, ["config.toml:5: one", "config.toml:6: two"])

    assert refused.says() == (
        "the configuration on disk is refused since 2023-11-14T22:13:20+00:00: config.toml:5: one; config.toml:6: two"
    )


def test_after_a_good_one_the_time_begins_anew(tmp_path: Path) -> None:
    write_refused(tmp_path, ["one"], 100.0)
    clear_refused(tmp_path)
    assert read_refused(tmp_path) is None

    write_refused(tmp_path, ["two"], 200.0)
    assert read_refused(tmp_path) == RefusedConfig(200.0, ["two"])


def test_a_thousand_problems_are_cut(tmp_path: Path) -> None:
    write_refused(tmp_path, [f"line {number}" for number in range(1000)], 0.0)

    refused = read_refused(tmp_path)
    assert refused is not None
    assert refused.problems == [f"line {number}" for number in range(50)]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"since": 1}', b"[]"])
def test_a_damaged_file_tells_nothing_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read_refused(tmp_path) is None

    write_refused(tmp_path, ["one"], 1.0)
    assert read_refused(tmp_path) == RefusedConfig(1.0, ["one"])


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")

    write_refused(tmp_path / "journal", ["one"], 1.0)
    clear_refused(tmp_path / "journal")

    assert read_refused(tmp_path / "journal") is None
