"""One process records a folder, and another one goes on when it is gone."""

from __future__ import annotations

import threading
from pathlib import Path

from tests_history import Life, good, living

from experiments.journal.post import LOCK, RecordingPost, run
from experiments.journal.recorder import Recorder
from experiments.journal.recorders import Recorders


def post(life: Life) -> RecordingPost:
    return RecordingPost(Recorder(life.config, life.store), life.journal)


def test_only_one_records_and_the_next_goes_on_when_it_leaves(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        first, second = post(life), post(life)
        life.serve(0, 10, good)

        assert (first.record(), second.record()) == (20, 0)
        assert (first.is_ours, second.is_ours) == (True, False)
        life.serve(10, 20, good)
        first.leave()
        assert second.record() == 20
        second.leave()


def test_a_lock_that_somebody_deleted_is_taken_anew(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        first, second = post(life), post(life)
        first.record()
        (life.journal / LOCK).unlink()
        second.record()

        assert second.is_ours
        first.record()
        assert not first.is_ours, "the file that it holds is not the one that others ask for"
        second.leave()


def test_it_loads_what_is_left_and_says_that_it_ends(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        stop = threading.Event()
        stop.set()
        life.serve(0, 10, good)

        run(post(life), stop)

        assert life.store.count_exchanges() == {"live": 10, "shadow": 10}
        assert [one.report.ended for one in Recorders(life.store.engine).all()] == [True]
        assert post(life).record() == 0, "the folder is free again"


def test_a_store_that_is_away_ends_nothing(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        # Not migrated: there are no tables yet.
        stop = threading.Event()
        thread = threading.Thread(target=run, args=(post(life), stop, 0.01))
        thread.start()
        life.start()
        life.serve(0, 10, good)
        for _ in range(1000):
            if life.store.count_exchanges():
                break
            stop.wait(0.01)
        stop.set()
        thread.join(30)

        assert life.store.count_exchanges() == {"live": 10, "shadow": 10}
