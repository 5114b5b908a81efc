"""The life of one experiment under the real controller: a hand-made journal, a real SQLite store, a clock by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from experiments.assignment import assign, unit_of
from experiments.config import Config, load
from experiments.controller import Controller
from experiments.evidence import Decision
from experiments.journal.format import encode, segment_name
from experiments.journal.recorder import Recorder
from experiments.model import CONTROL, TREATMENT, Exchange, Feedback, Role
from experiments.store import Store, open_store

CHAT = "/v1/chat/completions"
START = 1_700_000_000.0

CONFIG = """\
[router]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
database = "sqlite:///touchstone.db"
journal = "journal"
look_interval_s = 1.0

[backends.original]
url = "http://127.0.0.1:9"
price = { input = 1.0, output = 1.0 }
[backends.int4]
url = "http://127.0.0.1:9"
price = { input = 0.5, output = 0.5 }

[experiments.support]
match = { path = "/v1/chat/completions", model = "support" }
control = "original"
treatment = "int4"
ramp = [10, 50]
mirror_percent = 100
unit = "header:x-user-id"
slices = ["header:x-language"]
[experiments.support.guardrails]
agreement = { scorer = "agreement", margin = 0.2 }
errors = { max_relative = 2.0, margin = 0.2 }
complaint = { feedback = true, max_relative = 2.0 }
[experiments.support.policy]
min_days = 0
min_units = 100
stage_min_units = 30
stage_min_minutes = 0
settle_seconds = 0
"""

Answer = Callable[[int], str]
"""Number of a request -> what the treatment answers; control answers `yes`."""


def good(_: int) -> str:
    """Answer as control does."""
    return "yes"


def bad(number: int) -> str:
    """Answer three of ten requests otherwise, in both languages."""
    return "no" if number % 10 in {0, 3, 6} else "yes"


def write_config(folder: Path, text: str = CONFIG) -> Path:
    """Write a configuration, and return its path."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class Life:
    """An experiment, its journal and its store in one folder."""

    config: Config
    store: Store
    now: float = START
    controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Path(self.config.router.journal)
        self.journal.mkdir(exist_ok=True)
        self.restart()

    def restart(self) -> None:
        """Begin anew from what is on the disk, as after a kill."""
        self.controller = Controller(self.config, self.store, Recorder(self.config, self.store))

    def start(self) -> None:
        """Start the controller now."""
        self.controller.start(self.now)

    def tick(self, seconds: float = 1.0) -> list[Decision]:
        """Let time pass, then tick."""
        self.now += seconds
        return self.controller.tick(self.now)

    def write(self, *records: Exchange | Feedback, segment: int = 1) -> None:
        """Append records to a segment of a process that is still alive: this one."""
        with (self.journal / segment_name(os.getpid(), 1, segment)).open("ab") as file:
            file.writelines(encode(record) for record in records)

    def serve(self, first: int, last: int, answer: Answer = good, **changes: str) -> list[Exchange]:
        """Journal the mirrored requests first..last-1, a user each, assigned as the present route says."""
        route = self.store.route_states()["support"].route
        made = []
        for number in range(first, last):
            unit = unit_of(route.salt, f"user-{number}".encode())
            variant, propensity = assign(unit.bucket, route.split_basis_points)
            live = Exchange(
                id=f"live-{number}", at=self.now, experiment="support", epoch=route.epoch, stage=route.stage,
                unit=unit.key, bucket=unit.bucket, propensity=propensity, assigned=variant, served=variant,
                pair=f"live-{number}", status=200, ttft_ms=5.0, latency_ms=10.0, path=CHAT,
                slices={"x-language": ("en", "hi")[number % 2]} | changes,
                request_text=f'{{"model": "support", "prompt": "question {number}"}}',
                response_text=_completion("yes" if variant == CONTROL else answer(number)),
            )  # fmt: skip
            made += [live, _shadow(live, answer(number))]
        self.write(*made)
        return made


def _shadow(live: Exchange, answer: str) -> Exchange:
    variant = TREATMENT if live.assigned == CONTROL else CONTROL
    own = {
        "id": live.id.replace("live", "shadow"),
        "role": Role.SHADOW,
        "assigned": variant,
        "served": variant,
        "response_text": _completion(answer if variant == TREATMENT else "yes"),
    }
    return Exchange(**({name: getattr(live, name) for name in Exchange.__struct_fields__} | own))


def _completion(text: str) -> str:
    usage = '"usage": {"prompt_tokens": 10, "completion_tokens": 5}'
    return f'{{"choices": [{{"text": "{text}"}}], {usage}}}'


@contextmanager
def living(folder: Path, text: str = CONFIG) -> Iterator[Life]:
    """Begin a life in a folder; on leaving, its database is closed."""
    config = load(write_config(folder, text), {})
    store = open_store(config.router.database)
    try:
        yield Life(config, store)
    finally:
        store.close()


def live_through(life: Life, answer: Answer = good, ticks: int = 6, users: int = 40) -> None:
    """Start, then serve some users and tick, several times."""
    life.start()
    for number in range(ticks):
        life.serve(number * users, (number + 1) * users, answer)
        life.tick()
