"""A whole experiment: simulated backends, two real proxies on loopback, their journal, the store and the controller.

Only two things are not as in production. The backends are simulated: no model, but scripted answers, seeded, so that
the same users get the same answers in every run. And the controller's steady clock is moved by hand: a batch of users
stands for some hours of traffic, so that a week passes in seconds. The wall clock, the proxies' own, is left alone.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from experiments.assignment import unit_of
from experiments.config import Config, Experiment, load
from experiments.controller import Controller
from experiments.evidence import Code, Decision
from experiments.journal.format import Entry, encode, read_segment
from experiments.journal.recorder import Recorder
from experiments.model import TREATMENT, Exchange, Phase, Role, Route
from experiments.replay import replay
from experiments.store import Store
from experiments.stored import Epoch, Look, RouteState
from router.app import build_app
from router.fakes.backend import FakeBackend

CHAT = "/v1/chat/completions"
NAME = "support"
PROXIES = 2
CONCURRENCY = 8
HINDI_OF_25 = 4
"""Of 25 users, so many write in Hindi: 16 %."""

CONFIG = """\
[router]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
database = "sqlite:///touchstone.db"
journal = "journal"
look_interval_s = 1.0
mirror_concurrency = 512

[backends.original]
url = "{control}"
price = {{ input = 1.0, output = 1.0 }}
[backends.small]
url = "{treatment}"
build = "{build}"
price = {{ input = 0.55, output = 0.55 }}

[experiments.support]
match = {{ path = "/v1/chat/completions", model = "support" }}
control = "original"
treatment = "small"
ramp = {ramp}
mirror_percent = 100
unit = "header:x-user-id"
slices = ["header:x-language"]
{golden}
[experiments.support.guardrails]
{metric} = {{ scorer = "{scorer}", margin = {margin}, slice_margin = {slice_margin} }}
errors = {{ max_relative = 2.0, margin = 0.05 }}
[experiments.support.goals]
{goal} = {{ better_by = "30%" }}
[experiments.support.policy]
min_days = 7
max_days = {max_days}
min_units = 200
stage_min_units = 50
stage_min_minutes = 60
settle_seconds = {settle_s}
protected_slices = ["x-language"]
holdback_percent = {holdback}
"""
DEFAULTS: dict[str, Any] = {
    "build": "",
    "ramp": "[10, 50]",
    "golden": "",
    "metric": "agreement",
    "scorer": "agreement",
    "margin": 0.05,
    "slice_margin": 0.2,
    "goal": "cost",
    "max_days": 28,
    "settle_s": 0,
    "holdback": 0,
}


def asked(number: int) -> str:
    """Return what a user asks: it begins with the language."""
    language = "hi" if number % 25 < HINDI_OF_25 else "en"
    return f"{language} question {number}"


Loses = Callable[[Exchange], bool]


class Proxy:
    """A data plane of its own, with the routes that it has read last."""

    def __init__(self, config: Config, store: Store) -> None:
        self._store = store
        self.rows: list[Route] = []
        self._returned_at = 0.0
        self.app = build_app(config, load_routes=self._load, lookup_exchange=store.find_exchange)
        self.url = ""

    def _load(self) -> list[Route]:
        rows = self._store.routes()
        self._returned_at = time.monotonic()  # first, since another thread asks
        self.rows = rows
        return rows

    def knows(self, rows: list[Route]) -> bool:
        """Whether these routes are in use: they were read, and taken up after that."""
        return self.rows == rows and time.monotonic() - self.app.watcher.age_s >= self._returned_at


@dataclass
class Whole:
    """One experiment from its first user to its end."""

    folder: Path
    proxies: list[Proxy]
    proxies_journal: Path
    control: FakeBackend
    treatment: FakeBackend
    store: Store
    config: Config
    loses: Loses | None
    steady_s: float = 0.0
    users: int = 0
    decisions: list[Decision] = field(default_factory=list)
    _expected: int = 0
    _copied: dict[str, int] = field(default_factory=dict)

    def begin(self, config: Config) -> None:
        """Start a controller with a configuration, as after a reload; waits until the proxies know its routes."""
        self.config = config
        self.controller = Controller(config, self.store, Recorder(config, self.store))
        self.controller.start(time.time(), self.steady_s)
        self._wait_for_routes()

    def configure(self, **changes: Any) -> None:
        """Change the configuration of the running experiment, and nothing else."""
        begun = {"control": self._url("original"), "treatment": self._url("small")}
        self.begin(write_config(self.folder, **begun, **changes))

    def _url(self, backend: str) -> str:
        return self.config.backends[backend].urls[0]

    async def serve(self, users: int, *, days: float = 0.0) -> None:
        """Send one request each of so many new users to the proxies; `days` pass meanwhile by the steady clock."""
        numbers = iter(range(self.users, self.users + users))
        self.users += users

        async def worker(session: aiohttp.ClientSession) -> None:
            for number in numbers:
                await self._ask(session, number)

        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(worker(session) for _ in range(CONCURRENCY)))
        mirrored = self.route.mirror_basis_points > 0
        self._expected += users * (1 + mirrored)
        await self._wait_for_journal()
        self.steady_s += days * 86_400

    async def _ask(self, session: aiohttp.ClientSession, number: int) -> None:
        body = {"model": "support", "messages": [{"role": "user", "content": asked(number)}]}
        headers = {"x-user-id": f"user-{number}", "x-language": asked(number)[:2]}
        async with session.post(self.proxies[number % PROXIES].url + CHAT, json=body, headers=headers) as response:
            await response.read()
            assert response.status == 200

    async def _wait_for_journal(self) -> None:
        """A mirrored request may end after its user has gone."""
        deadline = time.monotonic() + 20
        while (written := sum(proxy.app.journal.written for proxy in self.proxies)) < self._expected:
            assert time.monotonic() < deadline, f"{written} records, not {self._expected}"
            await asyncio.sleep(0.01)

    def look(self) -> Decision:
        """Tick once: record, score, decide, and let the proxies take up what follows."""
        if self.loses is not None:
            self._pass_on(self.loses)
        self.steady_s += 1.0
        [decision] = self.controller.tick(time.time(), self.steady_s)
        self.decisions.append(decision)
        self._wait_for_routes()
        return decision

    async def live(self, batches: int, users: int = 40, days: float = 0.5) -> None:
        """Serve and look until a route has ended or been paused; at most so many batches."""
        before = self.phase
        for _ in range(batches):
            await self.serve(users, days=days)
            self.look()
            if self.phase is not before:
                return

    def _wait_for_routes(self) -> None:
        """The proxies poll the store four times a second."""
        deadline, wanted = time.monotonic() + 10, [self.route]
        for proxy in self.proxies:
            while not proxy.knows(wanted):
                assert time.monotonic() < deadline, f"{proxy.rows}, not {wanted}"
                time.sleep(0.02)

    def _pass_on(self, loses: Loses) -> None:
        """Copy what is new in the proxies' journal to the recorder's, but for the lines that are lost."""
        for path in sorted(self.proxies_journal.glob("*.journal")):
            entries = list(read_segment(path, self._copied.get(path.name, 0)))
            kept = [e.record for e in entries if isinstance(e, Entry)]
            with (Path(self.config.router.journal) / path.name).open("ab") as file:
                file.writelines(encode(r) for r in kept if not (isinstance(r, Exchange) and loses(r)))
            if entries:
                self._copied[path.name] = entries[-1].offset_after

    # --- what came of it ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> RouteState:
        return self.store.route_states()[NAME]

    @property
    def route(self) -> Route:
        return self.state.route

    @property
    def phase(self) -> Phase:
        return self.route.phase

    @property
    def epoch(self) -> Epoch:
        found = self.store.latest_epoch(NAME)
        assert found is not None
        return found

    def looks(self) -> list[Look]:
        return self.store.looks(NAME, self.epoch.number)

    def codes(self) -> set[Code]:
        """Why, in all looks so far."""
        return {reason.code for decision in self.decisions for reason in decision.reasons}

    def story(self) -> list[tuple[str, int, int]]:
        """(phase, stage, split in percent) after each transition of this epoch."""
        mine = [t for t in self.store.transitions(NAME) if t.epoch == self.epoch.number]
        return [(t.to_phase.value, t.to_stage, t.split_basis_points // 100) for t in mine]

    def why(self) -> str:
        """The reason of the last transition, in words."""
        return self.store.transitions(NAME)[-1].reason

    def exposed(self) -> set[int]:
        """Numbers of the users of this epoch who were answered by the treatment."""
        rows = [row.exchange for row in self.store.exchanges(NAME, self.epoch.number, 0, 10**9)]
        units = {e.unit for e in rows if e.role is Role.LIVE and e.served == TREATMENT}
        return {n for n in range(self.users) if unit_of(self.route.salt, f"user-{n}".encode()).key in units}

    def retelling(self) -> tuple[int, int, str, Phase]:
        """(epoch, attempt, salt, phase)."""
        return self.epoch.number, self.epoch.attempt, self.route.salt, self.phase

    def replays(self) -> bool:
        """Whether every look of every epoch comes out again bit by bit, from the stored rows alone."""
        seen = []
        for epoch in self.store.epochs(NAME):
            experiment = Experiment.model_validate_json(json.dumps(epoch.config))
            seen += [replayed.same for replayed in replay(self.store, experiment, epoch.number)]
        return bool(seen) and all(seen)


def write_config(folder: Path, **values: Any) -> Config:
    """Write a configuration, with `DEFAULTS` for what is not given, and load it."""
    path = folder / "config.toml"
    path.write_text(CONFIG.format(**(DEFAULTS | values)))
    return load(path, {})
