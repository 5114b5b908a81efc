"""F9: kill -9 of a writing process under load. What was acknowledged is in the store exactly once, in order.

`TOUCHSTONE_KILLS=100` kills a hundred times; the default keeps the suite short.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import select

from experiments.store import Store
from experiments.tables import EXCHANGE

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("TOUCHSTONE_KILLS", "8"))

WRITER = """
import os, sys
from pathlib import Path
from experiments.model import Exchange
from router.journal import Journal
for _ in range(int(sys.argv[2])):
    if not os.fork():
        break
else:
    for _ in range(int(sys.argv[2])):
        os.wait()
    sys.exit()
me = os.getpid()
journal = Journal(Path(sys.argv[1]), segment_bytes=50_000)
journal.start()
number = 0
while True:
    number += 1
    name = f"{me}-{number}"
    if journal.append(Exchange(id=name, at=1.0, experiment="support", request_text="x" * (number % 900))):
        os.write(1, f"{name}\\n".encode())
"""


def stored_ids(store: Store) -> list[str]:
    with store.engine.connect() as connection:
        return list(connection.execute(select(EXCHANGE.c.id).order_by(EXCHANGE.c.seq)).scalars())


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def acknowledged_until_killed(folder: Path, writers: int, after_s: float) -> set[str]:
    """Let a process write through forked writers, kill each by -9; returns the names it had acknowledged."""
    command = [sys.executable, "-c", WRITER, str(folder), str(writers)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        # The pipe is emptied by `read` below only; until it is full (64 KiB) the writers run at full speed.
        time.sleep(after_s)
        for child in children(process.pid):
            os.kill(child, signal.SIGKILL)
        rest = process.stdout.read()
    return {line.decode() for line in (first + rest).split(b"\n") if line}


def test_what_was_acknowledged_before_a_kill_is_stored_once_and_in_order(tmp_path, open_sqlite, recorder_of) -> None:
    store, folder = open_sqlite(), tmp_path / "journal"
    folder.mkdir()
    recorder, chance = recorder_of(folder, store), random.Random(9)
    acknowledged: set[str] = set()
    writers = 5
    for _ in range(-(-KILLS // writers)):
        acknowledged |= acknowledged_until_killed(folder, writers, chance.uniform(0, 0.05))
        recorder.record()

    stored = stored_ids(store)
    assert len(acknowledged) >= KILLS
    assert not acknowledged - set(stored), "acknowledged and lost"
    assert len(stored) == len(set(stored)), "stored twice"
    # A kill between writing and telling: at most one for each of the killed.
    assert len(set(stored) - acknowledged) <= -(-KILLS // writers) * writers
    for writer in {name.partition("-")[0] for name in stored}:
        numbers = [int(name.partition("-")[2]) for name in stored if name.startswith(f"{writer}-")]
        assert numbers == sorted(numbers)
    assert list(folder.glob("*.journal")) == [], "nothing of the dead is left to load"


RECORDER = """
import sys
from pathlib import Path
from experiments.config.records import Config, RouterSettings
from experiments.journal.recorder import Recorder
from experiments.store import open_store
import experiments.journal.recorder
experiments.journal.recorder._BATCH = 20
folder = Path(sys.argv[1])
config = Config(path=folder, router=RouterSettings(journal=folder / "journal"), backends={}, experiments={})
store = open_store(f"sqlite:///{folder / 'touchstone.db'}")
print("ready", flush=True)
Recorder(config, store).record()
"""


def test_a_recorder_that_is_killed_at_any_moment_loses_and_doubles_nothing(tmp_path, open_sqlite, recorder_of) -> None:
    store, folder, chance = open_sqlite(), tmp_path / "journal", random.Random(7)
    folder.mkdir()
    acknowledged = acknowledged_until_killed(folder, 2, 0.3)
    part_way = 0
    for _ in range(20):
        if part_way == 2:
            break
        with subprocess.Popen([sys.executable, "-c", RECORDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as run:
            assert run.stdout is not None
            run.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            run.kill()
        part_way += 0 < len(stored_ids(store)) < len(acknowledged)

    recorder_of(folder, store).record()

    stored = stored_ids(store)
    assert part_way > 0, "no kill came in the middle"
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
