"""F10 and F18: a controller that is killed by -9 at a commit, and two controllers that both believe that they lead.

`TOUCHSTONE_KILLS=100` kills at every commit there is; the default takes every second one.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from tests_history import Life, good, living

from experiments.model import Feedback, Role
from experiments.replay import replay
from experiments.store import StaleRouteError, Store, open_store
from experiments.tables import FEEDBACK

ROOT = Path(__file__).parents[2]
EVERY = 1 if int(os.environ.get("TOUCHSTONE_KILLS", "0")) >= 100 else 2

DRIVER = """
import itertools, json, os, signal, sys
from pathlib import Path
from sqlalchemy import event
from tests_history import START, good, living

SECONDS = 3
folder, every = Path(sys.argv[1]), int(sys.argv[2])

def controller(folder, kill_at):
    '''One controller process: takes up what is on the disk, and is killed while its n-th commit is made.'''
    progress, commits = folder / "second", itertools.count(1)
    with living(folder) as life:
        def count(_):
            number = next(commits)
            (folder / "commits").write_text(str(number))
            if number == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        begun = int(progress.read_text()) if progress.exists() else 0
        life.store.migrate()
        event.listen(life.store.engine, "commit", count)
        life.now = START + begun
        life.start()
        if begun:
            life.tick(seconds=0)
        for second in range(begun + 1, SECONDS + 1):
            life.serve(second * 40, second * 40 + 40, good)
            progress.write_text(str(second))
            life.tick()

def run(folder, kill_at=0):
    '''Run it as a process of its own; returns the signal that ended it.'''
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if not pid:
        controller(folder, kill_at)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

ended = [run(folder / "calm")]
commits = int((folder / "calm" / "commits").read_text())
for kill_at in range(1, commits + 1, every):
    ended += [run(folder / str(kill_at), kill_at), run(folder / str(kill_at))]
print(json.dumps([commits, ended]))
"""


def story(store: Store) -> list[tuple]:
    """What was decided, look by look, and what followed."""
    looks = [(look.number, look.at, look.stage, look.decision) for look in store.looks("support", 1)]
    moves = [
        (t.look, t.at, t.to_phase, t.to_stage, t.split_basis_points, t.reason) for t in store.transitions("support")
    ]
    return [*looks, *moves]


def ending(folder: Path) -> tuple[list[tuple], dict[str, int], bool]:
    """Return the story, the number of stored exchanges, and whether every look replays to the last bit."""
    with living(folder) as life:
        same = all(look.same for look in replay(life.store, life.config.experiments["support"], 1))
        return story(life.store), life.store.count_exchanges(), same


def test_f10_killed_by_9_at_a_commit_it_decides_the_same_stores_everything_once_and_replays(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    run = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path), str(EVERY)],
        cwd=ROOT, env=environment, capture_output=True, check=True, text=True,
    )  # fmt: skip
    commits, ended = json.loads(run.stdout.splitlines()[-1])

    expected = ending(tmp_path / "calm")
    assert commits >= 10
    assert ended == [0] + [-9, 0] * len(range(1, commits + 1, EVERY))
    assert (expected[1], expected[2]) == ({"live": 120, "shadow": 120}, True)
    assert len(expected[0]) == 3 + 3, "three looks, and a promotion by way of two stages"
    for kill_at in range(1, commits + 1, EVERY):
        assert ending(tmp_path / str(kill_at)) == expected, kill_at


# --- F18: two controllers without an election, as after a lock that was lost unnoticed --------------------------------


def second_controller(life: Life, url: str) -> Life:
    """Return another controller of the same experiment, with connections of its own."""
    other = Life(life.config, open_store(url))
    other.now = life.now
    return other


def ticking(life: Life, trouble: list[str]) -> None:
    """Tick as the loop of a controller does: what fails is tried again at the next tick."""
    try:
        life.tick()
    except (DBAPIError, StaleRouteError) as error:
        trouble.append(type(error).__name__)


def chained(store: Store) -> bool:
    """Whether each transition goes on where the one before it ended: none was made twice."""
    moves = store.transitions("support")
    pairs = itertools.pairwise(moves)
    return all((a.to_phase, a.to_stage) == (b.from_phase, b.from_stage) for a, b in pairs) and len(
        {move.look for move in moves}
    ) == len(moves)


def compete(life: Life, other: Life, trouble: list[str]) -> None:
    """Let both tick at once, second by second, over the same journal."""
    life.start()
    with ExitStack() as stack:
        stack.callback(other.store.close)
        other.start()
        for number in range(6):
            live = [r for r in life.serve(number * 40, number * 40 + 40, good) if r.role is Role.LIVE]
            life.write(*(Feedback(exchange=r.id, metric="complaint", value=False, at=life.now) for r in live[::5]))
            both = [threading.Thread(target=ticking, args=(one, trouble)) for one in (life, other)]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join(30)


def check(life: Life) -> None:
    """Hold what two controllers left behind against what one would have."""
    with life.store.engine.connect() as connection:
        feedback = connection.execute(select(func.count()).select_from(FEEDBACK)).scalar_one()
    found = list(replay(life.store, life.config.experiments["support"], 1))
    assert chained(life.store)
    assert [look.stored.number for look in found] == list(range(1, len(found) + 1))
    assert all(look.same for look in found)
    assert life.store.transitions("support")[-1].to_phase == "promoted"
    assert life.store.count_exchanges() == {"live": 240, "shadow": 240}
    assert feedback == 48


def test_f18_two_controllers_at_once_make_every_transition_once_and_every_look_replays(tmp_path: Path) -> None:
    trouble: list[str] = []
    with living(tmp_path) as life:
        compete(life, second_controller(life, life.config.router.database), trouble)
        life.tick()

        check(life)


@pytest.mark.postgres
def test_f18_on_postgresql_too_where_they_do_not_wait_for_one_another(tmp_path: Path, postgres_url: str) -> None:
    trouble: list[str] = []
    with living(tmp_path) as sqlite:
        config = sqlite.config
    store = open_store(postgres_url)
    try:
        life = Life(config, store)
        compete(life, second_controller(life, postgres_url), trouble)
        life.tick()

        check(life)
    finally:
        store.close()


def test_f18_a_controller_that_cannot_reach_the_store_changes_nothing_and_takes_up_again(tmp_path: Path) -> None:
    trouble: list[str] = []
    with living(tmp_path) as life:
        life.start()
        cut_off = second_controller(life, f"sqlite:///{tmp_path / 'gone' / 'touchstone.db'}")
        for number in range(2):
            life.serve(number * 40, number * 40 + 40, good)
            ticking(cut_off, trouble)
        untouched = life.store.looks("support", 1)
        life.tick()

        assert trouble == ["OperationalError"] * 2
        assert untouched == []
        assert len(life.store.looks("support", 1)) == 1
        cut_off.store.close()
