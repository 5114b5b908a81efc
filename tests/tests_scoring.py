"""A store with pairs in line for a judge: shared by the tests of scorers that ask another server."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "experiments"))

from tests_builders import make_experiment, make_pair  # found by the line above

from experiments.config.asking import Judge
from experiments.config.records import Backend, Config, Monitor, RouterSettings
from experiments.config.serving import Scoring
from experiments.scoring.experiment_scorer import score_pending, scorers_of
from experiments.scoring.score_tasks import TaskStore
from experiments.store import LoadedExchange, Outcome, Store, open_store
from router.fakes.judge import ScriptedJudge
from router.scoring.runner import ScoringRunner

METRIC = ("support", "better")


class Bench:
    """What a test of the line has at hand."""

    def __init__(self, folder: Path, url: str, judge: ScriptedJudge) -> None:
        self.folder, self.url, self.judge = folder, url, judge
        self.store: Store = open_store(f"sqlite:///{folder / 'touchstone.db'}")
        self.store.migrate()
        self.line = TaskStore(self.store.engine)

    def config(self, *, concurrency: int = 4, capture: str = "full", **judge: Any) -> Config:
        keys = {"backend": "judge", "swap_percent": 0.0, "retries": 0, "timeout_s": 5.0} | judge
        monitors = (Monitor(name="better", scorer="judge", judge=Judge(**keys)),)
        experiment = make_experiment(guardrails=(), monitors=monitors, capture=capture)
        backends = {
            name: Backend(name=name, urls=(url,))
            for name, url in (("original", "http://a"), ("int4", "http://b"), ("judge", self.url))
        }
        settings = RouterSettings(scoring=Scoring(concurrency=concurrency), database=str(self.store.engine.url))
        path = self.folder / "config.toml"
        return Config(path=path, router=settings, backends=backends, experiments={"support": experiment})

    def put_in_line(self, config: Config, pairs: int, **options: Any) -> list[str]:
        """Store pairs of which the treatment's answer is the longer one, and score what waits; returns their ids."""
        made = [make_pair({"answer": "short", "prompt": "q"}, {"answer": f"longer {n}"}) for n in range(pairs)]
        fields = LoadedExchange.__struct_fields__
        loaded = [LoadedExchange(**{f: getattr(side, f) for f in fields}) for pair in made for side in pair]
        self.store.load(f"segment-{time.monotonic_ns()}", 1, loaded)
        score_pending(self.store, scorers_of(config), **options)
        return [live.exchange.id for live, _ in made]

    def outcomes(self) -> list[Outcome]:
        return [o for o in self.store.outcomes("support", 1, 0, 10**9) if o.metric == "better"]

    def run(self, config: Config, until: Callable[[], bool], *, leads: bool = True, patience_s: float = 10.0) -> None:
        """Work on the line until something holds."""
        deadline = time.monotonic() + patience_s
        with ScoringRunner(config, self.store, lambda: leads):
            while not until():
                assert time.monotonic() < deadline, f"{self.line.waiting()} wait, {self.judge.calls} calls"
                time.sleep(0.01)

    def until_done(self, config: Config) -> list[Outcome]:
        self.run(config, lambda: self.line.waiting() == 0)
        return self.outcomes()
