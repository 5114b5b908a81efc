"""Tick by tick, on a real store and a hand-made journal: what is decided, and that a kill anywhere changes nothing."""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import event
from structlog.testing import capture_logs
from tests_history import CHAT, CONFIG, START, Answer, Life, bad, good, live_through, living, write_config

from experiments.config import load
from experiments.controller import Controller
from experiments.evidence import Action, Code, Decision
from experiments.journal.format import encode, end_mark, segment_name
from experiments.journal.recorder import Recorder
from experiments.model import TREATMENT, Exchange, Feedback, Phase, Role
from experiments.replay import replay
from experiments.store import Store, open_store
from experiments.telling.alerts import Alerts
from experiments.telling.escalation import EscalationPolicy, Notification
from experiments.telling.incidents import incident_log

GONE = 2**22 + 1
"""No process has this id."""


@pytest.fixture(name="live")
def _live(tmp_path: Path) -> Iterator[Callable[..., Life]]:
    """Begin a life, its configuration changed in some places."""
    lives = []

    def begin(*changes: tuple[str, str]) -> Life:
        text = CONFIG
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        life = living(tmp_path, text)
        lives.append(life)
        return life.__enter__()

    yield begin
    for life in reversed(lives):
        life.__exit__(None, None, None)


def actions(decisions: list[Decision]) -> list[Action]:
    return [decision.action for decision in decisions]


def codes(decisions: list[Decision]) -> set[Code]:
    return {reason.code for decision in decisions for reason in decision.reasons}


def steps(store: Store) -> list[tuple]:
    """What happened to the experiment, without the numbers of the looks."""
    return [
        (t.epoch, t.at, t.actor, t.from_phase, t.to_phase, t.from_stage, t.to_stage, t.split_basis_points, t.reason)
        for t in store.transitions("support")
    ]


def replays(life: Life, epoch: int = 1) -> list[bool]:
    return [found.same for found in replay(life.store, life.config.experiments["support"], epoch)]


# --- what a tick does -------------------------------------------------------------------------------------------------


def test_the_first_start_begins_an_epoch_at_the_first_stage_of_the_ramp(live) -> None:
    life = live()

    life.start()

    [route] = life.store.routes()
    assert (route.epoch, route.stage, route.phase) == (1, 0, Phase.RUNNING)
    assert (route.split_basis_points, route.mirror_basis_points, route.salt) == (1_000, 10_000, "support")
    [transition] = life.store.transitions("support")
    assert (transition.actor, transition.reason, transition.at) == ("config", "first epoch", START)


def test_a_tick_records_scores_and_looks_and_the_look_says_how_far_it_had_read(live) -> None:
    life = live()
    life.start()
    life.serve(0, 10)

    [decision] = life.tick()

    look = life.store.latest_look("support", 1)
    assert look is not None
    assert (look.number, look.at, look.stage, look.decision) == (1, START + 1, 0, decision)
    assert (look.exchange_seq, look.outcome_seq, look.feedback_seq) == tuple(life.store.watermarks())
    assert (look.evidence.exchanges, look.evidence.pairs, look.evidence.units) == (10, 10, 10)
    assert look.state["units"] == 10
    assert life.store.unscored_pairs(99) == []


def test_looks_keep_their_interval_and_every_tick_records(live) -> None:
    life = live(("look_interval_s = 1.0", "look_interval_s = 5.0"))
    life.start()
    looked = []
    for number in range(12):
        life.serve(number, number + 1)
        looked.append(bool(life.tick(seconds=1.0)))
        assert life.store.count_exchanges()["live"] == number + 1

    assert looked == [True, False, False, False, False] * 2 + [True, False]


def test_a_good_treatment_climbs_the_ramp_and_is_promoted(live) -> None:
    life = live()
    life.start()
    decided = []
    for number in range(3):
        life.serve(number * 40, number * 40 + 40)
        decided += life.tick()

    assert actions(decided) == [Action.ADVANCE, Action.HOLD, Action.PROMOTE]
    [route] = life.store.routes()
    assert (route.phase, route.split_basis_points, route.mirror_basis_points) == (Phase.PROMOTED, 10_000, 0)
    assert [t.look for t in life.store.transitions("support")] == [None, 1, 3]


def test_a_bad_treatment_is_rolled_back_and_nothing_is_looked_at_any_more(live) -> None:
    life = live()
    life.start()
    decided = []
    for number in range(6):
        life.serve(number * 40, number * 40 + 40, bad)
        decided += life.tick()

    assert actions(decided)[-1] is Action.ROLLBACK
    [route] = life.store.routes()
    assert (route.phase, route.split_basis_points, route.mirror_basis_points) == (Phase.ROLLED_BACK, 0, 0)
    looks = len(life.store.looks("support", 1))
    assert looks == len(decided)
    assert life.tick() == []
    assert life.store.count_exchanges()["live"] == 240, "what still comes is recorded all the same"


def test_after_a_rollback_that_goes_on_mirroring_looks_go_on_and_change_no_route(live) -> None:
    life = live(("settle_seconds = 0", "settle_seconds = 0\nmirror_after_rollback = true"))
    life.start()
    for number in range(6):
        life.serve(number * 40, number * 40 + 40, bad)
        life.tick()

    [route] = life.store.routes()
    assert (route.phase, route.split_basis_points, route.mirror_basis_points) == (Phase.ROLLED_BACK, 0, 10_000)
    looks = life.store.looks("support", 1)
    assert len(looks) == 6
    assert looks[-1].evidence.phase is Phase.ROLLED_BACK
    assert looks[-1].evidence.units == 240
    assert looks[-1].decision.action is Action.HOLD
    assert len(life.store.transitions("support")) == 2 + sum(look.decision.action is Action.ADVANCE for look in looks)


def test_a_retry_knows_whom_the_attempt_before_has_exposed_at_every_stage(live) -> None:
    life = live()
    live_through(life, bad)
    widest = max(t.split_basis_points for t in life.store.transitions("support"))
    assert life.store.routes()[0].exposed == ()
    assert life.store.routes()[0].phase is Phase.ROLLED_BACK

    text = life.config.path.read_text(encoding="utf-8").replace("margin = 0.2 }", "margin = 0.19 }", 1)
    life.config = load(write_config(life.config.path.parent, text), {})
    life.restart()
    life.start()
    life.serve(1_000, 1_040)
    life.tick()

    [route] = life.store.routes()
    assert (route.epoch, route.stage, route.salt) == (2, 1, "support/2")
    assert route.exposed == (("support", widest),)


def test_a_pause_in_place_of_a_rollback_sends_everyone_to_control(live) -> None:
    life = live(("settle_seconds = 0", 'settle_seconds = 0\non_harm = "pause"'))
    life.start()
    for number in range(3):
        life.serve(number * 40, number * 40 + 40, bad)
        life.tick()

    [route] = life.store.routes()
    assert (route.phase, route.split_basis_points) == (Phase.PAUSED, 0)
    assert life.tick() == []


def test_when_the_time_is_up_it_stops_as_undecidable(live) -> None:
    life = live(("min_days = 0", "min_days = 0\nmax_days = 1"))
    life.start()
    life.serve(0, 10)

    assert actions(life.tick(86_400)) == [Action.HOLD], "one day is not more than one day"
    assert actions(life.tick(1)) == [Action.STOP_UNDECIDABLE]
    assert life.store.routes()[0].phase is Phase.STOPPED


def test_the_time_of_an_epoch_goes_on_over_its_stages(live) -> None:
    life = live(("min_days = 0", "min_days = 0\nmax_days = 1"))
    life.start()
    life.serve(0, 40)

    assert actions(life.tick(50_000)) == [Action.ADVANCE]
    assert actions(life.tick(36_401)) == [Action.STOP_UNDECIDABLE]


def test_a_stage_lasts_its_time_to_the_second(live) -> None:
    life = live(("stage_min_minutes = 0", "stage_min_minutes = 10"))
    life.start()
    life.serve(0, 40)

    assert codes(life.tick(599)) == {Code.TOO_EARLY}
    assert actions(life.tick(1)) == [Action.ADVANCE]


def test_feedback_of_users_reaches_the_evidence_once(live) -> None:
    life = live()
    life.start()
    made = [e for e in life.serve(0, 20) if e.role is Role.LIVE]
    thumb = Feedback(exchange=made[0].id, metric="complaint", value=False, at=life.now)
    life.write(thumb, thumb, Feedback(exchange="nobody", metric="complaint", value=False, at=life.now))

    life.tick()

    look = life.store.latest_look("support", 1)
    assert look is not None
    row = look.evidence.of("complaint")
    assert row is not None
    assert row.losses + row.wins == 1


def test_two_experiments_are_looked_at_apart(live) -> None:
    other = CONFIG[CONFIG.index("[experiments.support]") :].replace("support", "second")
    life = live(("settle_seconds = 0\n", f"settle_seconds = 0\n\n{other}"))
    life.start()
    life.serve(0, 40)

    assert sorted(actions(life.tick())) == [Action.ADVANCE, Action.HOLD]
    assert {route.experiment: route.stage for route in life.store.routes()} == {"support": 1, "second": 0}


def test_traffic_of_no_experiment_of_another_epoch_or_without_a_pair_disturbs_nothing(live) -> None:
    life = live()
    life.start()
    common = {"at": START, "unit": "u", "path": CHAT, "status": 200}
    life.write(
        Exchange(id="a", experiment="", **common),
        Exchange(id="b", experiment="gone", epoch=1, pair="b", **common),
        Exchange(id="c", experiment="gone", epoch=1, role=Role.SHADOW, pair="b", assigned=TREATMENT, **common),
        Exchange(id="d", experiment="support", epoch=7, **common),
        Exchange(id="e", experiment="support", epoch=1, role=Role.SHADOW, pair="nobody", **common),
    )

    life.tick()

    look = life.store.latest_look("support", 1)
    assert look is not None
    assert (look.evidence.exchanges, look.evidence.units) == (0, 0)
    assert replays(life) == [True]


# --- epochs -----------------------------------------------------------------------------------------------------------


def test_the_same_configuration_goes_on_where_it_was(live) -> None:
    life = live()
    life.start()
    life.serve(0, 40)
    life.tick()

    life.restart()
    life.start()

    assert [route.stage for route in life.store.routes()] == [1]
    assert life.store.latest_epoch("support").number == 1
    assert actions(life.tick()) == [Action.HOLD]
    assert life.store.latest_look("support", 1).number == 2


def test_a_changed_configuration_begins_anew_and_nothing_of_before_counts(live) -> None:
    life = live()
    life.start()
    life.serve(0, 120)
    life.tick()

    later = live(("margin = 0.2 }\nerrors", "margin = 0.3 }\nerrors"))
    later.now = life.now + 10
    later.start()
    later.serve(200, 210)
    later.tick()

    [route] = later.store.routes()
    assert (route.epoch, route.stage, route.split_basis_points) == (2, 0, 1_000)
    look = later.store.latest_look("support", 2)
    assert look is not None
    assert (look.number, look.evidence.units) == (1, 10)
    assert later.store.transitions("support")[-1].reason == "the configuration changed: nothing of before counts"
    assert replays(later, epoch=2) == [True]


def test_an_experiment_that_was_decided_stays_decided_over_a_restart(live) -> None:
    life = live()
    life.start()
    for number in range(3):
        life.serve(number * 40, number * 40 + 40)
        life.tick()
    life.restart()
    life.start()

    assert life.tick() == []
    assert life.store.routes()[0].phase is Phase.PROMOTED


# --- killed anywhere --------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Not an `Exception`: nothing in the controller may catch it, as nothing can catch SIGKILL."""


@contextmanager
def killed_at_commit(store: Store, number: int) -> Iterator[None]:
    """Kill the process when it commits for the n-th time: that transaction is lost, those before it are on the disk."""
    commits = itertools.count(1)

    def kill(_connection) -> None:
        if next(commits) == number:
            raise Killed

    event.listen(store.engine, "commit", kill)
    try:
        yield
    finally:
        event.remove(store.engine, "commit", kill)


def traffic(life: Life, number: int, answer: Answer) -> None:
    """The journal of one second: a finished segment of a proxy that is gone, and a growing one."""
    records = life.serve(number * 40, number * 40 + 40, answer)
    thumbs = [
        Feedback(exchange=r.id, metric="complaint", value=False, at=life.now) for r in records if r.role is Role.LIVE
    ]
    lines = [*map(encode, thumbs[::10]), end_mark()]
    (life.journal / segment_name(GONE, 1, number)).write_bytes(b"".join(lines))


def reference(folder: Path, answer: Answer) -> tuple[list[tuple], int]:
    """Live undisturbed; returns what happened, and how often it was committed."""
    commits = itertools.count()
    with living(folder) as life:
        life.store.migrate()
        event.listen(life.store.engine, "commit", lambda _: next(commits))
        life.start()
        for number in range(3):
            traffic(life, number, answer)
            life.tick()
        return steps(life.store), next(commits)


def disturbed(folder: Path, answer: Answer, kill_at: int) -> Life:
    """Live the same life, but be killed once on the way, and start again from what is on the disk."""
    with living(folder) as life:
        life.store.migrate()
        with killed_at_commit(life.store, kill_at):
            assert _live_on(life, answer) == 1
    return life


def _live_on(life: Life, answer: Answer) -> int:
    """Start and live three seconds; returns how often it was killed."""
    kills = _start(life)
    for number in range(3):
        traffic(life, number, answer)
        try:
            life.tick()
        except Killed:
            kills += 1
            life.restart()
            life.start()
            life.tick(seconds=0)
    return kills


def _start(life: Life) -> int:
    try:
        life.start()
    except Killed:
        life.restart()
        life.start()
        return 1
    return 0


@pytest.mark.parametrize(("answer", "moves", "every"), [(good, 3, 1), (bad, 2, 2)])
def test_killed_between_any_two_commits_it_decides_the_same_and_stores_everything_once(
    tmp_path: Path, answer: Answer, moves: int, every: int
) -> None:
    (tmp_path / "calm").mkdir()
    expected, commits = reference(tmp_path / "calm", answer)
    assert len(expected) == moves
    assert commits > 14

    for kill_at in range(1, commits + 1, every):
        folder = tmp_path / str(kill_at)
        folder.mkdir()

        life = disturbed(folder, answer, kill_at)

        assert steps(life.store) == expected, kill_at
        assert all(replays(life)), kill_at
        assert life.store.count_exchanges() == {"live": 120, "shadow": 120}, kill_at
        assert life.store.watermarks().feedback == 12, kill_at
        assert len([*life.journal.glob("*.journal")]) == 1, "finished segments are deleted, the growing one is not"
        life.store.close()


def test_an_evaluator_that_was_built_anew_is_where_the_old_one_was(live) -> None:
    life = live()
    life.start()
    for number in range(2):
        traffic(life, number, bad)
        life.tick()
    before = life.controller._evaluators._kept["support"].evaluator

    life.restart()
    life.start()

    after, seen = life.controller._evaluators._kept["support"]
    assert (after.looks, after.ledger.snapshot()) == (before.looks, before.ledger.snapshot())
    assert (after._peaks, after._running, after._least_p) == (before._peaks, before._running, before._least_p)
    assert seen == life.store.watermarks()


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_the_loop_outlives_a_store_that_is_away_and_says_so_once(live, tmp_path: Path) -> None:
    life = live()
    database, stop = tmp_path / "touchstone.db", threading.Event()
    database.mkdir()
    with capture_logs() as logs:
        loop = threading.Thread(target=life.controller.run, args=(stop, 0.01))
        loop.start()
        _wait_for(lambda: bool(logs))
        stop.wait(0.1)
        database.rmdir()
        _wait_for(lambda: database.is_file() and _has_looks(database))
        stop.set()
        loop.join(10)

    assert not loop.is_alive()
    troubles = [log for log in logs if log["event"] == "tick_failed"]
    assert len(troubles) == 1
    assert troubles[0]["trouble"].startswith("OperationalError: ")
    assert life.store.routes()[0].phase is Phase.RUNNING


def test_when_it_is_told_to_stop_the_loop_loads_what_the_proxies_wrote_until_their_end(live) -> None:
    life = live()
    life.start()
    stop = threading.Event()

    class Late(threading.Event):
        """Set while the loop waits: the proxies end, and write their last lines."""

        def wait(self, timeout: float | None = None) -> bool:
            if not self.is_set():
                life.serve(0, 5)
                self.set()
            return super().wait(timeout)

    life.controller.run(stop := Late(), 0.01)

    assert stop.is_set()
    assert life.store.count_exchanges() == {"live": 5, "shadow": 5}


def _wait_for(condition, seconds: float = 10.0) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("nothing happened")


def _has_looks(database: Path) -> bool:
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as raw:
            return bool(raw.execute("SELECT count(*) FROM look").fetchone()[0])
    except sqlite3.OperationalError:
        return False


def test_a_look_keeps_every_bit_of_its_evidence_in_the_store(live) -> None:
    life = live()
    life.start()
    traffic(life, 0, bad)
    seen = []
    [decision] = life.tick()
    seen.append(decision)

    stored = life.store.latest_look("support", 1)

    assert stored is not None
    assert stored.decision == decision
    assert msgspec.json.decode(msgspec.json.encode(stored.evidence), type=type(stored.evidence)) == stored.evidence


# --- telling people ---------------------------------------------------------------------------------------------------


@contextmanager
def told(life: Life) -> Iterator[list[str]]:
    """Begin anew with alerts, on connections of their own; what they tell is in the list."""
    known: set[str] = set()
    titles: list[str] = []

    def put(notes: Sequence[Notification], _: float) -> int:
        new = [note for note in notes if note.id not in known]
        known.update(note.id for note in new)
        titles.extend(note.title for note in new)
        return len(new)

    with closing(open_store(life.config.router.database)) as store:
        alerts = Alerts(store.transitions, incident_log(store), EscalationPolicy(), put)
        life.controller = Controller(life.config, life.store, Recorder(life.config, life.store), alerts=alerts)
        yield titles


def test_a_rollback_is_told_in_the_tick_that_decided_it(live) -> None:
    life = live()
    with told(life) as titles:
        live_through(life, bad, ticks=8, users=100)

    assert titles[0] == "support is running at stage 1: the treatment serves 10 %"
    assert titles[-1] == "support is rolled back, control serves everyone"


def test_what_has_happened_is_told_though_the_tick_fails(live) -> None:
    life = live()
    with told(life) as titles:
        life.start()
        event.listen(life.store.engine, "begin", _refuse)
        with pytest.raises(ConnectionError):
            life.tick()
        event.remove(life.store.engine, "begin", _refuse)

    assert titles == ["support is running at stage 1: the treatment serves 10 %"]


def _refuse(_: object) -> None:
    raise ConnectionError
