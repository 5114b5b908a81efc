"""The journal on a real disk: what was appended is there, whatever happens to the process, the disk or the folder."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests_config import make_config

from experiments.journal.format import Damaged, End, Entry, encode, end_mark, read_segment
from experiments.model import Exchange, Feedback
from experiments.privacy.keeping import Keeping
from router.journal import Journal, folder_bytes

ROOT = Path(__file__).parents[2]
_numbers = itertools.count()


def exchange(**more) -> Exchange:
    return Exchange(id=f"x{next(_numbers)}", at=1.0, experiment="support", **more)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def ids(folder: Path) -> list[str]:
    """Ids of all exchanges in a folder, in order; nothing in it may be damaged."""
    entries = [entry for path in segments(folder) for entry in read_segment(path)]
    assert not any(isinstance(entry, Damaged) for entry in entries)
    return [entry.record.id for entry in entries if isinstance(entry, Entry)]


def wait_for(condition, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def fsyncs() -> Iterator[list[str]]:
    """The names of the threads that force lines to the disk meanwhile, of this one and of those that are started."""
    seen: list[str] = []

    def watch(_frame, event: str, called) -> None:
        if event == "c_call" and called is os.fsync:
            seen.append(threading.current_thread().name)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


# --- appending and rotation -------------------------------------------------------------------------------------------


def test_a_record_is_in_the_file_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "journal")
    written = [exchange(response_text="नमस्ते\n"), Feedback(exchange="x", metric="thumbs_up", value=True, at=1.0)]

    for count, record in enumerate(written, start=1):
        assert journal.append(record)
        [segment] = segments(tmp_path / "deep" / "journal")
        assert [entry.record for entry in read_segment(segment)] == written[:count]

    assert (journal.written, journal.shed, journal.shedding) == (2, 0, "")
    journal.close()


def test_a_journal_without_a_record_leaves_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.start()
    journal.close()

    assert segments(tmp_path) == []


def test_a_full_segment_is_closed_and_the_next_one_begun(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=500)
    written = [exchange(request_text="x" * 100) for _ in range(10)]

    assert all(journal.append(record) for record in written)

    assert ids(tmp_path) == [record.id for record in written]
    *closed, last = segments(tmp_path)
    assert len(closed) == 3
    assert all(isinstance([*read_segment(path)][-1], End) for path in closed)
    assert not any(isinstance(entry, End) for entry in read_segment(last))
    assert all(500 <= path.stat().st_size - len(end_mark()) < 500 + len(encode(written[0])) for path in closed)
    journal.close()


def test_a_segment_that_is_old_is_closed_though_it_is_small(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_seconds=0.0)
    journal.start()
    journal.append(exchange())
    [segment] = segments(tmp_path)

    wait_for(lambda: isinstance([*read_segment(segment)][-1], End))
    journal.append(exchange())

    assert len(segments(tmp_path)) == 2
    journal.close()


def test_closing_marks_the_segment_as_complete_and_can_be_done_twice(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.start()
    journal.append(exchange())

    journal.close()
    journal.close()

    [segment] = segments(tmp_path)
    _, end = read_segment(segment)
    assert end == End(segment.stat().st_size)


def test_journals_of_one_folder_never_write_into_each_others_segments(tmp_path: Path) -> None:
    one, other = Journal(tmp_path), Journal(tmp_path)

    written = [record.id for journal in (one, other, one, other) if journal.append(record := exchange())]

    assert len(segments(tmp_path)) == 2
    assert len(written) == 4
    assert sorted(ids(tmp_path)) == sorted(written)
    one.close()
    other.close()


def test_threads_that_append_at_once_never_mix_their_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=2_000)
    written: list[str] = []

    def append() -> None:
        for size in range(100):
            record = exchange(request_text="x" * size)
            assert journal.append(record)
            written.append(record.id)

    threads = [threading.Thread(target=append) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()

    assert sorted(ids(tmp_path)) == sorted(written)
    assert journal.written == len(written) == 800


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    sizes=st.lists(st.integers(0, 200), min_size=1, max_size=20),
    segment_bytes=st.integers(1, 1_000),
    which=st.integers(0, 19),
    at=st.integers(0, 10**6),
)
def test_a_segment_that_is_cut_off_at_any_byte_gives_every_whole_line_before_it(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], segment_bytes: int, which: int, at: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    journal = Journal(folder, "never", segment_bytes=segment_bytes)
    written = [exchange(request_text="x" * size) for size in sizes]
    for record in written:
        journal.append(record)
    journal.close()
    # Drawn without looking at the files: the length of a line depends on the process that writes it.
    chosen = segments(folder)[which % len(segments(folder))]
    lines = [encode(record) for record in written if encode(record) in chosen.read_bytes()]

    cut = at % (chosen.stat().st_size + 1)
    os.truncate(chosen, cut)

    whole = sum(cut >= end for end in itertools.accumulate(map(len, lines)))
    expected = [record.id for record in written if encode(record) in lines[:whole] or encode(record) not in lines]
    assert ids(folder) == expected


# --- fsync ------------------------------------------------------------------------------------------------------------


def test_always_forces_each_line_to_the_disk_before_append_returns(tmp_path: Path) -> None:
    with fsyncs() as seen:
        journal = Journal(tmp_path, "always")
        counts = [len(seen) for _ in range(3) if journal.append(exchange())]
        journal.close()

    assert counts == [1, 2, 3]
    assert set(seen) == {"MainThread"}


def test_interval_forces_lines_to_the_disk_from_a_thread_and_only_when_there_are_new_ones(tmp_path: Path) -> None:
    with fsyncs() as seen:
        journal = Journal(tmp_path, "interval")
        journal.start()
        for _ in range(100):
            journal.append(exchange())
        assert "MainThread" not in seen, "an append never waits for the disk"
        wait_for(lambda: "journal" in seen)
        before = list(seen)
        time.sleep(1.2)
        assert seen == before, "nothing new was written"
        journal.close()

    assert before == ["journal"]


def test_never_leaves_it_to_the_system(tmp_path: Path) -> None:
    with fsyncs() as seen:
        journal = Journal(tmp_path, "never", segment_bytes=200)
        journal.start()
        for _ in range(9):
            journal.append(exchange(request_text="x" * 100))
        time.sleep(1.2)
        journal.close()

    assert seen == []
    assert len(segments(tmp_path)) == 5, "four closed ones, and one that was open while the thread came by"


def test_a_closed_segment_is_on_the_disk_before_its_end_is_believed(tmp_path: Path) -> None:
    with fsyncs() as seen:
        journal = Journal(tmp_path, "interval", segment_bytes=1)
        journal.append(exchange())
        journal.append(exchange())

    assert len(seen) == len(segments(tmp_path)) == 2


# --- shedding ---------------------------------------------------------------------------------------------------------


def test_when_the_folder_is_full_recording_is_shed_and_counted_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    of_others = tmp_path / "other~1~1~000001.journal"
    of_others.write_bytes(b"x" * 1_000)
    journal = Journal(tmp_path, limit_bytes=1_000)
    with capture_logs() as logs:
        journal.start()
        shed = [journal.append(exchange()) for _ in range(5)]
        reason = journal.shedding
        of_others.unlink()
        wait_for(lambda: not journal.shedding)
        resumed = journal.append(exchange())
        journal.close()

    assert (shed, resumed) == ([False] * 5, True)
    assert reason == "the journal folder has reached its limit"
    assert (journal.written, journal.shed) == (1, 5)
    episode = ["recording_shed", "texts_shed", "recording_resumed", "texts_kept_again"]
    assert [log["event"] for log in logs] == episode, "once an episode"
    assert len(ids(tmp_path)) == 1


def test_when_the_folder_is_nearly_full_texts_are_dropped_first_and_then_whole_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_bytes=10_000)
    journal.start()
    with capture_logs() as logs:
        taken = [journal.append(exchange(request_text="q" * 400, response_text="a" * 400)) for _ in range(50)]
    journal.close()

    stored = [e.record for path in segments(tmp_path) for e in read_segment(path) if isinstance(e, Entry)]
    whole = [e for e in stored if e.request_text and not e.truncated]
    bare = [e for e in stored if not e.request_text and not e.response_text and e.truncated]
    assert stored == whole + bare, "the first ones whole, the later ones without texts"
    assert (len(whole), len(bare)) == (10, journal.texts_shed)
    assert 5 < len(bare) < 15
    assert taken == [True] * len(stored) + [False] * journal.shed
    assert 10_000 <= folder_bytes(tmp_path) < 10_000 + 200
    assert [log["event"] for log in logs] == ["texts_shed", "recording_shed"]


def test_feedback_is_kept_whole_until_the_limit_itself(tmp_path: Path) -> None:
    (tmp_path / "other~1~1~000001.journal").write_bytes(b"x" * 950)
    journal = Journal(tmp_path, limit_bytes=1_000)
    journal.start()
    thumb = Feedback(exchange="x", metric="thumbs_up", value=True, at=1.0)

    assert [journal.append(thumb), journal.append(thumb)] == [True, False]
    assert (journal.texts_shed, journal.shed) == (0, 1)
    journal.close()


def test_a_segment_is_closed_while_the_folder_is_full_so_that_it_can_be_loaded_and_deleted(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_bytes=200)
    journal.start()
    while journal.append(exchange()):
        pass
    [segment] = segments(tmp_path)

    wait_for(lambda: isinstance([*read_segment(segment)][-1], End))
    segment.unlink()
    wait_for(lambda: not journal.shedding)

    assert journal.append(exchange())
    journal.close()


def test_a_folder_that_vanishes_sheds_and_raises_nothing_and_recording_resumes_when_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = Journal(folder)
    folder.rmdir()
    with capture_logs() as logs:
        shed = [journal.append(exchange()) for _ in range(3)]
        reason = journal.shedding
        folder.mkdir()
        resumed = journal.append(exchange())

    assert (shed, resumed) == ([False] * 3, True)
    assert "No such file or directory" in reason
    assert (journal.written, journal.shed, journal.shedding) == (1, 3, "")
    assert [log["event"] for log in logs if log["event"].startswith("recording")] == [
        "recording_shed",
        "recording_resumed",
    ]
    journal.close()


def test_a_folder_that_cannot_be_made_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match="Not a directory"):
        Journal(tmp_path / "file" / "journal")


LIMITED = """
import resource, sys
from pathlib import Path
from experiments.model import Exchange
from router.journal import Journal
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
journal = Journal(Path(sys.argv[1]), "never")
for number in range(40):
    size = 300 if number % 4 else 10
    written = journal.append(Exchange(id=f"x{number}", at=1.0, experiment="support", request_text="x" * size))
    print(f"x{number}", int(written), flush=True)
journal.close()
print(journal.written, journal.shed, journal.shedding)
"""


def _written_under_a_limit(folder: Path, *largest_file: str) -> tuple[list[str], str]:
    """Append in a process of its own; returns the ids that it took for written, and its last line."""
    command = [sys.executable, "-c", LIMITED, str(folder), *largest_file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    *lines, last = [line for line in done.stdout.splitlines() if line[:1] in "x0123456789"]
    return [line.split()[0] for line in lines if line.endswith(" 1")], last


def test_when_a_file_can_grow_no_more_the_half_line_is_taken_back_and_a_short_one_still_fits(tmp_path: Path) -> None:
    taken, last = _written_under_a_limit(tmp_path, "2900")

    assert taken == [f"x{number}" for number in (*range(9), 12, 16, 20)]
    assert ids(tmp_path) == taken
    assert last.startswith(f"{len(taken)} {40 - len(taken)} the journal cannot be written")


def test_when_the_disk_is_full_whole_lines_stay_and_the_rest_is_shed(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a disk that is small enough to fill")
    try:
        taken, last = _written_under_a_limit(disk)

        assert 10 < len(taken) < 40
        assert ids(disk) == taken
        assert last == f"{len(taken)} {40 - len(taken)} the journal cannot be written: No space left on device"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- kill -9 ----------------------------------------------------------------------------------------------------------

ENDLESS = """
import itertools, sys
from pathlib import Path
from experiments.model import Exchange
from router.journal import Journal
journal = Journal(Path(sys.argv[1]), segment_bytes=20_000)
journal.start()
for number in itertools.count():
    journal.append(Exchange(id=f"x{number}", at=1.0, experiment="support", request_text="x" * (number % 700)))
    sys.stdout.write(f"x{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("after", [1, 50, 333])
def test_after_kill_9_every_line_that_was_appended_is_whole(tmp_path: Path, after: int) -> None:
    command = [sys.executable, "-c", ENDLESS, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().split()

    stored = ids(tmp_path)
    assert len(said) >= after
    # The last name may have been cut off on its way here, and one line may be there of which nobody was told yet.
    assert stored[: len(said) - 1] == said[:-1]
    assert len(stored) <= len(said) + 1


def test_the_size_of_a_folder_is_that_of_its_segments(tmp_path: Path) -> None:
    (tmp_path / "a.journal").write_bytes(b"x" * 10)
    (tmp_path / "b.journal").write_bytes(b"x" * 5)
    (tmp_path / "notes.txt").write_bytes(b"x" * 100)

    assert folder_bytes(tmp_path) == 15
    assert folder_bytes(tmp_path / "none") == 0


def test_a_journal_says_in_one_line_how_it_is(tmp_path: Path) -> None:
    assert repr(Journal(tmp_path)) == f"<Journal {tmp_path} [0 written, 0 shed]>"


def test_what_is_not_to_be_kept_is_in_no_byte_of_the_file(tmp_path: Path) -> None:
    config = make_config(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9", redact=(r"[6-9]\d{9}",))
    silent = config.experiments["support"].model_copy(update={"redact": (), "capture": "none"})
    experiments = config.experiments | {"billing": silent}
    keep = Keeping(config.model_copy(update={"experiments": experiments}))
    request, answer = '{"prompt":"call 9876543210 please"}', '{"choices":[{"text":"calling 9876543210"}]}'
    sizes = {"bytes_in": len(request), "bytes_out": len(answer)}
    journal = Journal(tmp_path, keep=keep)

    for name in experiments:
        made = Exchange(id=name, at=1.0, experiment=name, request_text=request, response_text=answer, **sizes)
        assert journal.append(made)
    assert journal.append(Feedback(exchange="support", metric="thumb", value=True, at=1.0))

    first, second = segments(tmp_path)[0].read_bytes().splitlines()[:2]
    assert b"9876543210" not in first + second
    assert b"call [redacted] please" in first
    assert b"calling" not in second
    journal.close()
