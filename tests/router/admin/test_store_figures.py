"""What waits, what failed and what was damaged stands in the store; without the store, the proxies' figures remain."""

from pathlib import Path

from sqlalchemy import insert
from structlog.testing import capture_logs
from tests_history import live_through, living

from experiments.store import Outcome, Store, open_store
from experiments.tables import SCORE_TASK
from router.admin.metrics import Exposition, exposition_of
from router.admin.store_figures import StoreFigures


def opened(folder: Path) -> Store:
    return open_store(f"sqlite:///{folder / 'touchstone.db'}")


def outcome(pair: str, failure: str = "") -> Outcome:
    return Outcome(
        pair=pair, metric="judge", scorer="judge/1", experiment="support", epoch=1, stage=0, unit="u", at=1.0,
        slices={}, control_value=0.0, treatment_value=0.0, value=0.0, failure=failure,
    )  # fmt: skip


def test_what_is_in_the_store_is_on_the_page(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.migrate()
    task = {"pair": "p1", "experiment": "support", "epoch": 1, "due_at": 1.0, "attempts": 0, "trouble": ""}
    with store.engine.begin() as connection:
        connection.execute(insert(SCORE_TASK), [task | {"metric": name} for name in ("a", "b")])
    store.save_outcomes([outcome("p1"), outcome("p2", "timeout")], [])
    store.load("segment", 10, [], damaged=3)

    page = Exposition(tmp_path, StoreFigures(store).read).render().body.decode()

    for line in ("scores_waiting 2.0", "scores_failed_total 1.0", "journal_damaged_records_total 3.0"):
        assert f"\ntouchstone_{line}\n" in page
    store.close()


def test_without_the_store_its_figures_are_left_out_and_that_is_told_once(tmp_path: Path) -> None:
    store = opened(tmp_path)

    with capture_logs() as logs:
        pages = [Exposition(tmp_path, StoreFigures(store).read).render().body.decode() for _ in range(2)]
        figures = StoreFigures(store)
        assert figures.read() == figures.read() == {}

    assert all("touchstone_proxies 0.0" in page and "scores_waiting" not in page for page in pages)
    assert len([log for log in logs if log["event"] == "store_figures_unreadable"]) == 3
    store.close()


def test_how_an_experiment_stands_is_on_the_page(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        live_through(life, ticks=1, users=2)
        page = exposition_of(life.config, life.store).render().body.decode()

    assert '\ntouchstone_experiment_phase{experiment="support",phase="running"} 1.0\n' in page
    assert "\ntouchstone_scores_waiting 0.0\n" in page
