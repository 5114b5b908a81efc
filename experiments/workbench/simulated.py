"""A small store to try things on: simulated users and answers, judged by the real controller.

Nothing in it was measured: the users, what they ask and how the two models answer are drawn at random. All else is as
it always is: the assignment, the scorers, the looks, the decisions and the schema of the store.
"""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from experiments.assignment import assign, unit_of
from experiments.model import CONTROL, TREATMENT, Exchange, Phase, Role, Route
from experiments.store import LoadedExchange, Store, open_store

if TYPE_CHECKING:
    from experiments.workbench.opened import OpenStore

NAME = "support-int4"
START = 1_700_000_000.0
"""When the first user comes, in seconds since the epoch: any time would do."""
_MOST_LOOKS, _USERS_A_LOOK, _SECONDS_A_LOOK = 12, 40, 60.0
_WRONG = {"en": 0.01, "hi": 0.07}
"""Language -> share of answers that the simulated treatment gets wrong; the simulated control never does."""
_PROMPTS = {"en": "Where is my order {}?", "hi": "मेरा ऑर्डर {} कहाँ है?"}
_RIGHT, _OTHER = "It is on its way.", "I cannot find it."
_CONFIG = """\
[router]
database = "sqlite:///touchstone.db"
journal = "journal"
[backends.simulated-bf16]
url = "http://127.0.0.1:9"
price = { input = 1.0, output = 1.0 }
[backends.simulated-int4]
url = "http://127.0.0.1:9"
price = { input = 0.6, output = 0.6 }
[experiments.support-int4]
owner = "nobody: this is simulated"
hypothesis = "Simulated: the int4 copy answers as well as bf16, and costs less"
match = { path = "/v1/chat/completions", model = "support" }
control = "simulated-bf16"
treatment = "simulated-int4"
ramp = [10, 50]
mirror_percent = 100
unit = "header:x-user-id"
slices = ["header:language"]
[experiments.support-int4.guardrails]
agreement = { scorer = "agreement", margin = 0.12 }
errors = { max_relative = 2.0, margin = 0.1 }
complaint = { feedback = true, max_relative = 2.0 }
[experiments.support-int4.goals]
cost = { better_by = "20%" }
[experiments.support-int4.policy]
min_days = 0
min_units = 240
stage_min_units = 60
stage_min_minutes = 0
settle_seconds = 30
"""


@cache
def example() -> OpenStore:
    """Return a small **simulated** store, opened for reading; it is made once a process, and gone at its end.

    >>> example()
    <OpenStore of a simulated example: support-int4>
    """
    from experiments.workbench.opening import open_store as opened  # noqa: PLC0415  # it names this module's example

    folder = Path(tempfile.mkdtemp(prefix="touchstone-example-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return opened(simulate(folder), shown="a simulated example")


def simulate(folder: Path, database: str = "") -> Path:
    """Simulate an experiment from its first user on, and return the path of its configuration.

    Args:
        folder: There, empty: gets `config.toml` and, unless another database is given, `touchstone.db`.
        database: SQLAlchemy URL of an empty database.
    """
    from experiments.config import load  # noqa: PLC0415  # statistics and scorers: only who simulates needs them
    from experiments.controller import Controller  # noqa: PLC0415
    from experiments.journal.recorder import Recorder  # noqa: PLC0415

    path = folder / "config.toml"
    path.write_text(_CONFIG.replace("sqlite:///touchstone.db", database or "sqlite:///touchstone.db"), encoding="utf-8")
    config = load(path, {})
    Path(config.router.journal).mkdir(exist_ok=True)
    store = open_store(config.router.database)
    with closing(store), capture_logs():  # what the controller notes is of nobody's interest here
        controller = Controller(config, store, Recorder(config, store))
        controller.start(START, 0.0)
        users = _Users(random.Random(7))  # noqa: S311  # a simulation, and no secret
        for look in range(1, _MOST_LOOKS + 1):
            if store.route_states()[NAME].route.phase is not Phase.RUNNING:
                break
            now = START + look * _SECONDS_A_LOOK
            users.come(store, now - _SECONDS_A_LOOK / 2)
            controller.tick(now, look * _SECONDS_A_LOOK)
    return path


class _Users:
    """Simulated users, one after the other.

    Args:
        draw: What is random about them.
    """

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._users = self._requests = 0

    def come(self, store: Store, at: float) -> None:
        """Let some users come, with one to three requests each, and sometimes a complaint."""
        route = store.route_states()[NAME].route
        rows = [row for _ in range(_USERS_A_LOOK) for row in self._user(route, at)]
        lives = [row.exchange for row in rows if row.exchange.role is Role.LIVE]
        said = [
            {"exchange": live.id, "metric": "complaint", "source": "simulated", "value": float(draw >= 0.3), "at": at}
            for live in lives
            if (draw := self._draw.random()) < 0.4
        ]
        store.load("simulated", self._requests, rows, said)

    def _user(self, route: Route, at: float) -> Iterator[LoadedExchange]:
        self._users += 1
        language = self._draw.choice(("en", "hi"))
        unit = unit_of(route.salt, f"simulated-user-{self._users}".encode())
        variant, propensity = assign(unit.bucket, route.split_basis_points)
        for _ in range(self._draw.choice((1, 1, 2, 3))):
            self._requests += 1
            key = f"simulated-{self._requests:06d}"
            wrong = self._draw.random() < _WRONG[language]
            answers = {CONTROL: _RIGHT, TREATMENT: _OTHER if wrong else _RIGHT}
            other = TREATMENT if variant == CONTROL else CONTROL
            for served, role in ((variant, Role.LIVE), (other, Role.SHADOW)):
                exchange = Exchange(
                    id=key if role is Role.LIVE else f"{key}-mirrored",
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
                    pair=key,
                    backend="simulated-bf16" if served == CONTROL else "simulated-int4",
                    path="/v1/chat/completions",
                    status=200,
                    ttft_ms=self._draw.uniform(40, 60),
                    latency_ms=self._draw.uniform(300, 500) * (1.0 if served == CONTROL else 0.8),
                    slices={"language": language},
                )
                prompt = _PROMPTS[language].format(self._requests)
                yield LoadedExchange(
                    exchange=exchange,
                    prompt=prompt,
                    answer=answers[served],
                    finish_reason="stop",
                    input_tokens=8,
                    output_tokens=6,
                    model="support",
                )
