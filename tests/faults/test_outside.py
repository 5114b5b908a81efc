"""What comes from outside the data plane: feedback that is wrong (F22), scorers that misbehave (F23)."""

from __future__ import annotations

import http.client
import json
import math
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests_history import CHAT, Life, living
from tests_plane import Plane

from experiments.config.records import Config, RouterSettings
from experiments.evidence import Action
from experiments.journal.recorder import Recorder
from experiments.scorers import Answer, PairScore
from experiments.store import open_store

# --- F22: feedback ----------------------------------------------------------------------------------------------------


def post(running: Plane, body: dict[str, Any]) -> int:
    connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=5)
    connection.request("POST", "/_touchstone/v1/feedback", json.dumps(body))
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def exchange_of(running: Plane) -> str:
    connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=5)
    connection.request("POST", CHAT, b"hello", {"x-user-id": "u"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return str(response.headers["x-touchstone-exchange"])


def test_f22_only_the_first_good_feedback_of_an_exchange_changes_the_store(plane, tmp_path: Path) -> None:
    running = plane()
    exchange = exchange_of(running)
    running.known[exchange] = "support"
    thumb = {"exchange": exchange, "metric": "thumbs_up", "value": True}
    stranger = str(uuid.UUID(exchange[:-1] + ("0" if exchange[-1] != "0" else "1")))

    taken = [post(running, thumb) for _ in range(3)]
    young = post(running, thumb | {"exchange": stranger})
    refused = [
        post(running, thumb | {"exchange": str(uuid.uuid4())}),
        post(running, thumb | {"metric": "thumbs_up", "value": "great"}),
        post(running, thumb | {"value": 10**400}),
        post(running, {"unit": "u", "experiment": "foreign", "metric": "thumbs_up", "value": True}),
    ]
    running.stop()
    store = open_store(f"sqlite:///{tmp_path / 'touchstone.db'}")
    store.migrate()
    settings = RouterSettings(journal=running.folder)
    Recorder(Config(path=tmp_path / "c.toml", router=settings, backends={}, experiments={}), store).record()
    marks = store.watermarks()
    store.close()

    assert taken == [200, 200, 200]
    assert young == 202, "it may not have reached the store yet"
    assert refused == [404, 422, 422, 404]
    assert marks.exchange == 1
    # The stranger's is a row that no exchange joins: it is in no evidence.
    assert marks.feedback == 2


# --- F23: scorers -----------------------------------------------------------------------------------------------------


class Misbehaving:
    """A scorer that fails for some of the answers."""

    version = "agreement/1"

    def __init__(self, real: Any, fault: Callable[[], PairScore], share: int) -> None:
        self._real, self._fault, self._share, self._calls = real, fault, share, 0

    def score(self, control: Answer, treatment: Answer, expected: Any) -> PairScore | None:
        self._calls += 1
        if self._calls % self._share == 0:
            return self._fault()
        return self._real.score(control, treatment, expected)


def raises() -> PairScore:
    raise RuntimeError("a scorer of somebody")


def nonsense() -> PairScore:
    return PairScore(math.nan, 1.0)


def misbehave(life: Life, fault: Callable[[], PairScore], share: int = 4) -> None:
    scorers = life.controller._scorers["support"]._scorers
    scorers["agreement"] = Misbehaving(scorers["agreement"], fault, share)


def test_f23_a_scorer_that_raises_costs_its_pairs_and_the_loop_goes_on(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        misbehave(life, raises)
        decided = []
        for number in range(2):
            life.serve(number * 40, number * 40 + 40)
            decided += life.tick()
        scored = Counter(outcome.metric for outcome in life.store.outcomes("support", 1, 0, 10**9))

    assert [decision.action for decision in decided] == [Action.ADVANCE, Action.HOLD]
    assert scored["agreement"] == 60, "three of four"
    assert scored["errors"] == scored["latency"] == 80, "no other metric of the pair is lost"


def too_good() -> PairScore:
    return PairScore(0.0, 7.0)


@pytest.mark.parametrize("fault", [nonsense, too_good])
def test_f23_a_score_that_is_none_never_reaches_the_evidence(tmp_path: Path, fault: Callable[[], PairScore]) -> None:
    with living(tmp_path) as life:
        life.start()
        misbehave(life, fault)
        decided = []
        for number in range(2):
            life.serve(number * 40, number * 40 + 40)
            decided += life.tick()
        outcomes = [o for o in life.store.outcomes("support", 1, 0, 10**9) if o.metric == "agreement"]

    assert len(decided) == 2
    assert len(outcomes) == 60
    assert {outcome.value for outcome in outcomes} == {0.0}
