"""Published figures can be read whole at any moment: while they are written, after a crash, on a full disk."""

import os
import time
from pathlib import Path

from experiments.journal.format import writer_name
from router.telemetry.metrics_files import STALE_SECONDS, MetricsFile, Series, published

LIVING = writer_name(os.getpid(), 1)
DEAD = writer_name(2**22 + 1, 1)  # above the largest process id


def counted(value: float) -> Series:
    return {"touchstone_requests_total": {("support", "control"): [value]}}


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / LIVING)
    for value in range(5):
        file.write(counted(value), ended=False)
        (process,) = published(tmp_path)
        assert process.last is not None
        assert process.last.series() == counted(value)
    file.close()


def test_a_write_that_was_cut_short_leaves_the_one_before_it(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / LIVING)
    file.write(counted(1), ended=False)
    file.write(counted(2), ended=False)
    file.close()
    newest = tmp_path / f"{LIVING}~0.metrics"
    data = newest.read_bytes()

    for cut in (0, 5, 18, 40):
        newest.write_bytes(data[:cut])
        (process,) = published(tmp_path)
        assert process.last is not None
        assert process.last.series() == counted(1)


def test_shorter_figures_after_longer_ones_are_read_right(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / LIVING)
    long: Series = {"touchstone_requests_total": {(f"experiment-{n}",): [1.0] for n in range(2000)}}
    for _ in range(2):
        file.write(long, ended=False)
    file.write(counted(3), ended=False)
    file.close()

    (process,) = published(tmp_path)

    assert process.last is not None
    assert process.last.series() == counted(3)


def test_a_living_process_is_present_until_it_falls_silent_or_says_its_last_word(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / LIVING)
    file.write(counted(1), ended=False)
    (process,) = published(tmp_path)
    assert (process.present, process.over) == (True, False)

    long_ago = time.time() - STALE_SECONDS - 1
    os.utime(tmp_path / f"{LIVING}~1.metrics", (long_ago, long_ago))
    (process,) = published(tmp_path)
    assert (process.present, process.over) == (False, False)

    file.write(counted(1), ended=True)
    file.close()
    (process,) = published(tmp_path)
    assert (process.present, process.over) == (False, True)


def test_a_dead_process_is_over_and_its_figures_are_still_there(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / DEAD)
    file.write(counted(4), ended=False)
    file.close()

    (process,) = published(tmp_path)

    assert process.over
    assert not process.present
    assert process.last is not None
    assert process.last.series() == counted(4)


def test_a_folder_that_cannot_be_written_costs_only_the_figures(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "missing" / LIVING)
    file.write(counted(1), ended=False)
    (tmp_path / "missing").mkdir()
    file.write(counted(2), ended=False)
    file.close()

    (process,) = published(tmp_path / "missing")

    assert process.last is not None
    assert process.last.series() == counted(2)


def test_files_of_others_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"{LIVING}~000001.journal").write_bytes(b"")
    (tmp_path / "totals.metrics").write_bytes(b"{}")

    assert published(tmp_path) == []
