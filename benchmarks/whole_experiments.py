"""How often a whole experiment is decided wrongly: many seeded experiments of simulated answers, start to decision.

    python -m benchmarks.whole_experiments [--runs 200] [--users 600] [--jobs CPUS]

Two studies. **A/A**: both variants get a tenth of the answers wrong, independently; every rollback is false. **At the
margin**: the treatment is worse by exactly the margin, which is also what is tolerated; every promotion is false, and
every rollback too. So both error rates are met where they are highest: one guardrail without slices has the whole
alpha, a look after every 25 users, no goal stands in the way, and nothing but the statistics decides.

The answers are simulated and there is no HTTP: the journal's lines are written as the proxy writes them (assignment,
propensity, both answers of each pair), then the real recorder, scorer, store and controller do the rest. What goes
through real proxies is in `tests/whole`. Each look is replayed from the store and must come out bit by bit.

Exits with 1 if a study has more false decisions than its alpha allows (exact binomial, 99.9 %), or a look that does not
replay.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
from rich.console import Console
from rich.table import Table
from scipy.stats import binom

from experiments.assignment import assign, unit_of
from experiments.config import Config, load
from experiments.controller import Controller
from experiments.journal.recorder import Recorder
from experiments.model import CONTROL, TREATMENT, Exchange, Phase, Role, Route
from experiments.replay import replay
from experiments.store import Store, open_store
from router.journal import Journal

NAME, PATH = "quality", "/v1/chat/completions"
START = 1_700_000_000.0
BATCH = 25
"""Users between two looks."""
CONTROL_WRONG = 0.1
MARGIN = 0.1
ALPHA_ROLLBACK, ALPHA_PROMOTE = 0.05, 0.025
CONFIDENCE = 0.999

_CONFIG = """\
[router]
database = "sqlite:///touchstone.db"
journal = "journal"
look_interval_s = 1.0
[backends.original]
url = "http://127.0.0.1:9"
[backends.small]
url = "http://127.0.0.1:9"
[experiments.quality]
match = {{ path = "/v1/chat/completions" }}
control = "original"
treatment = "small"
split_percent = 50
mirror_percent = 100
unit = "header:x-user-id"
golden = "references.jsonl"
salt = "run {seed}"
[experiments.quality.guardrails]
correct = {{ scorer = "exact", margin = {margin}, tolerance = {tolerance} }}
[experiments.quality.policy]
min_days = 0
min_units = 50
settle_seconds = 0
alpha_rollback = {alpha_rollback}
alpha_promote = {alpha_promote}
"""


class Study(NamedTuple):
    """What is the same in all runs."""

    name: str
    treatment_wrong: float
    """Share of the treatment's answers that are wrong; control's is `CONTROL_WRONG`."""
    tolerance: float
    false: dict[Phase, float]
    """Phase in which a run has been decided wrongly -> the share of runs that may be."""


STUDIES = {
    "aa": Study("A/A", CONTROL_WRONG, MARGIN / 2, {Phase.ROLLED_BACK: ALPHA_ROLLBACK}),
    "margin": Study(
        "at the margin",
        CONTROL_WRONG + MARGIN,
        MARGIN,
        {Phase.ROLLED_BACK: ALPHA_ROLLBACK, Phase.PROMOTED: ALPHA_PROMOTE},
    ),
}


class Run(NamedTuple):
    """What became of one experiment."""

    phase: Phase
    users: int
    replays: bool
    """Whether every look came out again bit by bit."""


def run(seed: int, study: Study, users: int) -> Run:
    """Carry one experiment through, until it is decided or its users have all come."""
    with tempfile.TemporaryDirectory() as name:
        config = _write(Path(name), seed, study, users)
        with closing(open_store(config.router.database)) as store:
            phase, came = _live(config, store, random.Random(seed), study, users)
            experiment = config.experiments[NAME]
            return Run(phase, came, all(look.same for look in replay(store, experiment, 1)))


def _write(folder: Path, seed: int, study: Study, users: int) -> Config:
    items = ({"id": f"q{n}", "prompt": f"question {n}", "expected": {"exact": "right"}} for n in range(users))
    (folder / "references.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    text = _CONFIG.format(
        seed=seed, margin=MARGIN, tolerance=study.tolerance, alpha_rollback=ALPHA_ROLLBACK, alpha_promote=ALPHA_PROMOTE
    )
    (folder / "config.toml").write_text(text)
    return load(folder / "config.toml", {})


def _live(config: Config, store: Store, draw: random.Random, study: Study, users: int) -> tuple[Phase, int]:
    journal = Journal(Path(config.router.journal), "never")
    controller = Controller(config, store, Recorder(config, store))
    controller.start(START)
    for first in range(0, users, BATCH):
        now = START + 60.0 * (first + BATCH)
        route = store.route_states()[NAME].route
        for number in range(first, min(first + BATCH, users)):
            wrong = {CONTROL: draw.random() < CONTROL_WRONG, TREATMENT: draw.random() < study.treatment_wrong}
            for exchange in _pair(route, number, now, wrong):
                journal.append(exchange)
        controller.tick(now)
        phase = store.route_states()[NAME].route.phase
        if phase is not Phase.RUNNING:
            break
    journal.close()
    return phase, min(first + BATCH, users)


def _pair(route: Route, number: int, at: float, wrong: dict[str, bool]) -> Iterator[Exchange]:
    """Yield a live exchange and its mirrored one, as a proxy records them."""
    unit = unit_of(route.salt, f"user-{number}".encode())
    variant, propensity = assign(unit.bucket, route.split_basis_points)
    other = TREATMENT if variant == CONTROL else CONTROL
    request = json.dumps({"model": "support", "messages": [{"role": "user", "content": f"question {number}"}]})
    for role, served in ((Role.LIVE, variant), (Role.SHADOW, other)):
        answer = {"role": "assistant", "content": "wrong" if wrong[served] else "right"}
        yield Exchange(
            id=f"{role.value}-{number}",
            at=at,
            experiment=NAME,
            epoch=route.epoch,
            stage=route.stage,
            unit=unit.key,
            bucket=unit.bucket,
            propensity=propensity,
            assigned=served,
            served=served,
            role=role,
            pair=f"{Role.LIVE.value}-{number}",
            path=PATH,
            status=200,
            ttft_ms=5.0,
            latency_ms=10.0,
            request_text=request,
            response_text=json.dumps({"choices": [{"index": 0, "message": answer}]}),
        )


def allowed(runs: int, alpha: float) -> int:
    """Return the highest number of false decisions that a true rate of `alpha` explains, at `CONFIDENCE`.

    >>> allowed(200, 0.05), allowed(10, 0.05)
    (21, 4)
    """
    return int(binom.ppf(CONFIDENCE, runs, alpha))


def faults(study: Study, runs: Sequence[Run]) -> list[str]:
    """Return what is wrong with a study's runs; empty if nothing is."""
    phases = Counter(run.phase for run in runs)
    limits = {phase: allowed(len(runs), alpha) for phase, alpha in study.false.items()}
    found = [
        f"{study.name}: {phases[phase]} of {len(runs)} falsely {phase.value}, at most {limit} allowed"
        for phase, limit in limits.items()
        if phases[phase] > limit
    ]
    unlike = sum(not run.replays for run in runs)
    return found + ([f"{study.name}: {unlike} of {len(runs)} do not replay"] if unlike else [])


def quieten() -> None:
    """Log errors only: each run would log its decisions."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def _row(study: Study, runs: Sequence[Run]) -> list[str]:
    phases = Counter(run.phase for run in runs)
    users = sorted(run.users for run in runs if run.phase is not Phase.RUNNING)

    def told(phase: Phase) -> str:
        limit = f" (false; at most {allowed(len(runs), study.false[phase])})" if phase in study.false else ""
        return f"{phases[phase]}{limit}"

    undecided = str(phases[Phase.RUNNING])
    middle = str(users[len(users) // 2]) if users else "-"
    return [study.name, str(len(runs)), told(Phase.PROMOTED), told(Phase.ROLLED_BACK), undecided, middle]


def main() -> None:
    """Run both studies and print; the exit status says whether they hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--users", type=int, default=600, help="of each run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    table = Table("study (simulated)", "runs", "promoted", "rolled back", "undecided", "users to a decision, median")
    wrong: list[str] = []
    with ProcessPoolExecutor(arguments.jobs, initializer=quieten) as pool:
        for study in STUDIES.values():
            one = partial(run, study=study, users=arguments.users)
            runs = list(pool.map(one, range(arguments.runs), chunksize=4))
            table.add_row(*_row(study, runs))
            wrong += faults(study, runs)
    console = Console()
    console.print(table)
    for line in wrong or ["no more false decisions than allowed; every look replays bit by bit"]:
        console.print(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
