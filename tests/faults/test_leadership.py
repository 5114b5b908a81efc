"""F18: of two controllers one leads; the other does nothing, and takes over within ten seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import event
from tests_history import CONFIG, Life, good, living, write_config

from experiments.controller import Controller
from experiments.journal.recorder import Recorder
from experiments.leadership import LOCK_SUFFIX, Leadership
from experiments.replay import replay
from experiments.store import Store, open_store
from router.processes.workers import bind

ROOT = Path(__file__).parents[2]
REPLACED_WITHIN_S = 10.0
UNGATED = (
    CONFIG.replace("look_interval_s = 1.0", "look_interval_s = 0.05")
    + """
[experiments.support.gate]
healthy = false
"""
)
Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture(name="start")
def _start(tmp_path: Path) -> Iterator[Start]:
    """Start `touchstone control` on the store of this folder, each with an admin port of its own."""
    with ExitStack() as stack:

        def start() -> subprocess.Popen[bytes]:
            with bind("127.0.0.1:0") as probe:
                admin = f"127.0.0.1:{probe.getsockname()[1]}"
            log = stack.enter_context((tmp_path / f"log-{admin}").open("wb"))
            command = [sys.executable, "-m", "router", "control", "--config", str(tmp_path / "config.toml")]
            environment = os.environ | {"TOUCHSTONE_ROUTER_ADMIN": admin}
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
            stack.callback(_end, process)
            _wait_for(lambda: _serves(f"http://{admin}/healthz"))
            return process

        yield start


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _serves(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def _wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + seconds
        time.sleep(0.05)
    return time.monotonic() - begun


def _looks(store: Store) -> int:
    look = store.latest_look("support", 1) if store.latest_epoch("support") else None
    return look.number if look else 0


def test_f18_of_two_real_controllers_one_looks_and_a_killed_leader_is_replaced_within_ten_seconds(
    tmp_path: Path, start: Start
) -> None:
    write_config(tmp_path, UNGATED)
    with closing(open_store(f"sqlite:///{tmp_path / 'touchstone.db'}")) as store:
        store.migrate()
        leader = start()
        _wait_for(lambda: _looks(store) >= 2)
        follower = start()
        time.sleep(1.0)
        logs = b"".join(path.read_bytes() for path in tmp_path.glob("log-*"))

        leader.send_signal(signal.SIGKILL)
        leader.wait()
        seen = _looks(store)
        took_s = _wait_for(lambda: _looks(store) >= seen + 2)

        moves = store.transitions("support")
        numbers = [look.number for look in store.looks("support", 1)]
    follower.send_signal(signal.SIGTERM)

    assert follower.wait(20) in {0, -signal.SIGTERM}
    assert b"tick_failed" not in logs, logs.decode()
    assert took_s < REPLACED_WITHIN_S
    assert [move.reason for move in moves] == ["first epoch"]
    assert numbers == list(range(1, len(numbers) + 1))


# --- the loop ---------------------------------------------------------------------------------------------------------


def loop(life: Life, leadership: Leadership, stop: threading.Event) -> threading.Thread:
    """Run the loop of another controller on the same store, in a thread."""
    controller = Controller(life.config, life.store, Recorder(life.config, life.store), leadership=leadership)
    thread = threading.Thread(target=controller.run, args=(stop, 0.02), daemon=True)
    thread.start()
    return thread


def url_of(life: Life) -> str:
    return life.config.router.database


def test_f18_who_follows_writes_nothing_and_begins_once_it_leads(tmp_path: Path) -> None:
    stop = threading.Event()
    with living(tmp_path, UNGATED) as life:
        other = Leadership(url_of(life))
        assert other.try_lead()
        life.store.migrate()
        thread = loop(life, Leadership(url_of(life)), stop)
        time.sleep(0.5)
        before = life.store.route_states()
        other.release()
        _wait_for(lambda: _looks(life.store) >= 2)
        stop.set()
        thread.join(20)
        again = Leadership(url_of(life))

        assert before == {}
        assert again.try_lead(), "whoever ends lets the next one lead at once"
        again.release()


def test_f18_who_lost_the_lead_and_has_it_again_takes_up_what_the_other_one_wrote(tmp_path: Path) -> None:
    stop = threading.Event()
    with living(tmp_path, UNGATED) as life:
        life.store.migrate()
        thread = loop(life, Leadership(url_of(life)), stop)
        _wait_for(lambda: _looks(life.store) >= 2)
        # The file goes, and with it the lock: another one may lead.
        lock = tmp_path / f"touchstone.db{LOCK_SUFFIX}"
        other = Leadership(url_of(life))
        taken = False
        while not taken:
            lock.unlink(missing_ok=True)
            taken = other.try_lead()
        time.sleep(0.3)
        life.now = time.time()
        life.start()
        life.serve(0, 40, good)
        life.tick(seconds=0)
        theirs = _looks(life.store)
        time.sleep(0.3)
        still = _looks(life.store)
        other.release()
        _wait_for(lambda: _looks(life.store) >= theirs + 2)
        stop.set()
        thread.join(20)
        found = list(replay(life.store, life.config.experiments["support"], 1))

    assert still == theirs, "only who leads looks"
    assert [look.stored.number for look in found] == list(range(1, len(found) + 1))
    assert all(look.same for look in found)


class Counted(Controller):
    """Notes how many looks are stored each time that it starts."""

    def __init__(self, life: Life) -> None:
        super().__init__(
            life.config, life.store, Recorder(life.config, life.store), leadership=Leadership(url_of(life))
        )
        self.starts: list[int] = []

    def start(self, now: float, steady_s: float | None = None) -> None:
        super().start(now, steady_s)
        self.starts.append(_looks(self._store))


def test_f18_who_loses_the_lead_in_a_tick_stores_no_look_and_begins_anew(tmp_path: Path) -> None:
    stop, looks_then = threading.Event(), []

    def cut(*_: object) -> None:
        """Take the lock away once, in the middle of a tick."""
        if threading.current_thread() is thread and not looks_then and controller.starts:
            looks_then.append(-1)  # before the question below, which is a statement too
            looks_then[0] = _looks(life.store)
            (tmp_path / f"touchstone.db{LOCK_SUFFIX}").unlink()

    with living(tmp_path, UNGATED) as life:
        life.store.migrate()
        controller = Counted(life)
        event.listen(life.store.engine, "before_cursor_execute", cut)
        thread = threading.Thread(target=controller.run, args=(stop, 0.02), daemon=True)
        thread.start()
        _wait_for(lambda: len(controller.starts) >= 2 and _looks(life.store) >= 2)
        stop.set()
        thread.join(20)

    assert controller.starts == [0, looks_then[0]]
