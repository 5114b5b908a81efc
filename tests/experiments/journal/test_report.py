"""What a folder's recorder tells of it, and what the controller that leads makes of that, wherever it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from experiments.evidence import Shed
from experiments.journal.format import host_name, writer_name
from experiments.journal.recorders import Recorders, ShedWatch
from experiments.journal.report import IDENTITY, FolderReport, identity
from experiments.journal.status import STATUS_SUFFIX, Status, StatusFile
from experiments.store import Store

GONE = 2**22 + 1
"""No process has this id."""
NOTHING = Shed()
NOW = 1_700_000_000.0


class Host:
    """A host's folder, whoever records it, and the controller somewhere else."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.recorders = Recorders(store.engine)
        self.report = FolderReport(folder, self.recorders)
        self.watch = ShedWatch(self.recorders)

    def path(self, pid: int | None = None) -> Path:
        return self.folder / f"{writer_name(os.getpid() if pid is None else pid, 1)}{STATUS_SUFFIX}"

    def looked(self, steady_s: float = 0.0, now: float = NOW) -> Shed:
        self.report.tell(0)
        found = self.watch.read(steady_s)
        self.watch.settle(now)
        return found


@pytest.fixture(name="host")
def _host(tmp_path: Path, store: Store) -> Host:
    folder = tmp_path / "journal"
    folder.mkdir()
    return Host(folder, store)


def test_a_look_hears_of_what_was_shed_since_the_one_before(host: Host) -> None:
    file = StatusFile(host.path())
    assert host.looked() == NOTHING
    file.write(Status(shed=5, texts_shed=1, shedding="full"))
    assert host.looked() == Shed(now=True, records=5, texts=1)
    assert host.looked() == Shed(now=True)
    file.write(Status(shed=8, texts_shed=1))
    host.report.tell(0)
    assert host.watch.read(0.0) == Shed(records=3), "and again, as long as no look was stored"
    assert host.looked() == Shed(records=3)
    assert host.looked() == NOTHING
    file.close(Status(shed=8, texts_shed=1))


def test_a_controller_that_takes_over_counts_only_what_stands_in_no_look(host: Host) -> None:
    file = StatusFile(host.path())
    file.write(Status(shed=5))
    assert host.looked() == Shed(records=5)
    file.write(Status(shed=7))
    host.report.tell(0)

    assert ShedWatch(host.recorders).read(0.0) == Shed(records=2)
    file.close(Status())


def test_the_last_word_of_a_dead_proxy_is_counted_once_and_its_file_removed(host: Host) -> None:
    path = host.path(GONE)
    file = StatusFile(path)
    file.write(Status(shed=4, shedding="full"))
    os.close(file._fd)  # as the kernel does, when it is killed

    assert host.looked() == Shed(records=4), "dead: it is shedding no more"
    assert path.exists(), "until whoever records the folder has heard that it stands in a look"
    FolderReport(host.folder, host.recorders).tell(0)

    assert not path.exists()
    assert host.looked() == NOTHING


def test_a_proxy_that_fell_silent_holds_nobody_for_ever(host: Host) -> None:
    path = host.folder / f"elsewhere~7~1{STATUS_SUFFIX}"
    StatusFile(path).write(Status(shed=4, shedding="full"))
    assert host.looked().now

    os.utime(path, (time.time() - 120,) * 2)

    assert host.looked() == NOTHING


def test_nor_does_a_host_of_which_nothing_is_heard_any_more(host: Host) -> None:
    StatusFile(host.path()).write(Status(shed=4, shedding="full"))
    assert host.looked().now

    assert host.watch.read(59.0).now
    assert not host.watch.read(61.0).now


def test_the_report_of_a_folder_that_is_gone_is_dropped_after_a_week(host: Host) -> None:
    host.looked()
    told_at = host.recorders.all()[0].at

    for days, left in ((6, 1), (8, 0)):
        host.watch.read(0.0)
        host.watch.settle(told_at + days * 86_400)
        assert len(host.recorders.all()) == left


def test_what_is_not_new_is_told_every_few_seconds_only(host: Host) -> None:
    for _ in range(3):
        host.report.tell(0)
    host.report.tell(2**20)

    (recorded,) = host.recorders.all()
    assert (recorded.beat, recorded.report.waiting_bytes, recorded.report.host) == (2, 2**20, host_name())


def test_a_recorder_that_ends_while_a_proxy_still_writes_is_missed(host: Host) -> None:
    file = StatusFile(host.path())
    file.write(Status())
    host.report.tell(0, ended=True)
    with_proxy = [one.report.ended for one in host.recorders.all()]
    file.close(Status())
    host.report.tell(0, ended=True)

    assert (with_proxy, [one.report.ended for one in host.recorders.all()]) == ([False], [True])


def test_a_folder_keeps_its_identity_and_two_of_one_name_have_two(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()

    assert identity(one) == identity(one)
    assert identity(one) != identity(other)
    assert [path.name for path in one.iterdir()] == [IDENTITY]


def test_where_nothing_can_be_written_host_and_path_are_the_identity(tmp_path: Path) -> None:
    assert identity(tmp_path / "none") == f"{host_name()}:{tmp_path / 'none'}"


def test_a_folder_that_is_not_there_yet_has_nothing_to_tell(tmp_path: Path, store: Store) -> None:
    host = Host(tmp_path / "none", store)

    assert host.looked() == NOTHING
    assert host.recorders.all() == []
