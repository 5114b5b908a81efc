"""What the subcommands do: processes put together from the configuration, and readers of the store."""

from __future__ import annotations

import getpass
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sqlalchemy.exc import DatabaseError, OperationalError

from experiments.config import Config, ConfigError, Experiment, load
from experiments.store import Store, open_store

if TYPE_CHECKING:
    from router.views import View

Fail = Callable[[str], NoReturn]


def load_or_fail(path: Path, fail: Fail, snapshot: Path | None = None) -> Config:
    """Load a configuration (or a copy of it), or print every problem, a line each, and exit."""
    try:
        return load(path, snapshot=snapshot)
    except ConfigError as error:
        fail("\n".join(["the configuration has errors:", *map(str, error.problems)]))


def describe(config: Config) -> Iterator[str]:
    """Say what a configuration means, in a few lines."""
    names = ", ".join(config.backends)
    yield f"{config.path}: fine. {len(config.backends)} backends ({names}), {len(config.experiments)} experiments."
    for experiment in config.experiments.values():
        yield f"  {experiment.name}: {_describe_experiment(experiment)}"


def _describe_experiment(experiment: Experiment) -> str:
    ramp = " -> ".join(f"{stage:g} %" for stage in experiment.ramp)
    guardrails = ", ".join(
        f"{g.name} (margin {g.margin * 100:g} points)" if g.margin else g.name for g in experiment.guardrails
    )
    goals = " or ".join(f"{g.name} {g.better_by * 100:g} % lower" for g in experiment.goals)
    return (
        f"{experiment.treatment} against {experiment.control}, split {ramp}, mirror {experiment.mirror_percent:g} %; "
        f"must not harm {guardrails or 'nothing'}; must reach {goals or 'nothing more'}."
    )


def known_or_fail(config: Config, name: str, fail: Fail) -> Experiment:
    """Return an experiment by its name, or say which there are and exit."""
    found = config.experiments.get(name)
    if found is None:
        known = ", ".join(sorted(config.experiments)) or "none"
        fail(f"no experiment {name!r} in {config.path}; there are: {known}")
    return found


def carry_out_command(config: Config, name: str, command: str, reason: str, fail: Fail) -> str:
    """Do something to an experiment, in the name of the user of this machine; returns what was done, in words."""
    from experiments.operating import Command, CommandRefusedError, operate  # noqa: PLC0415

    experiment = known_or_fail(config, name, fail)
    line = _reason_or_fail(reason, fail)
    with reading(config, fail) as store:
        try:
            done = operate(store, experiment, Command(command), actor=_user(), reason=line, now=time.time())
        except CommandRefusedError as error:
            fail(str(error))
    return f"{name}: {done.from_phase} -> {done.to_phase}, split {done.split_basis_points / 100:g} %"


def plan_or_fail(config: Config, traffic: Path, name: str | None, fail: Fail) -> View:
    """Plan one experiment, or all of a configuration; a file of expectations that is wrong is told line by line."""
    from router.planning import TrafficFileError, plan, read_traffic  # noqa: PLC0415

    chosen = [known_or_fail(config, name, fail)] if name else list(config.experiments.values())
    if not chosen:
        fail(f"no experiment in {config.path}: there is nothing to plan")
    try:
        return plan(config, chosen, read_traffic(traffic))
    except TrafficFileError as error:
        fail(str(error))


def acknowledge_or_fail(config: Config, key: str, reason: str, fail: Fail) -> str:
    """Take an incident on, in the name of the user of this machine; returns what was done, in words."""
    from experiments.telling.incidents import UnknownIncidentError, acknowledge  # noqa: PLC0415

    line = _reason_or_fail(reason, fail)
    with reading(config, fail) as store:
        try:
            acknowledge(store, key, actor=_user(), reason=line, now=time.time())
        except UnknownIncidentError as error:
            fail(str(error))
    return f"{key}: acknowledged, and told no more unless it happens again"


def audit_or_fail(config: Config, name: str | None, kind: str, fail: Fail) -> Iterator[str]:
    """Yield the lines of the audit of one experiment or of all, each with its end of line."""
    from experiments.telling.audit_trail import UnknownExperimentError, audit_of, written  # noqa: PLC0415

    if kind not in {"json", "csv"}:
        fail(f"{kind!r} is no format: json or csv")
    with reading(config, fail) as store:
        try:
            yield from written(audit_of(store, name), "csv" if kind == "csv" else "json")
        except UnknownExperimentError as error:
            fail(str(error))


def _user() -> str:
    return f"cli:{getpass.getuser()}"


def _reason_or_fail(reason: str, fail: Fail) -> str:
    line = " ".join(reason.split())
    if not line:
        fail("a reason is needed: --reason TEXT")
    return line


def make_token(config: Config, name: str, role: str, days: float | None, fail: Fail) -> str:
    """Make a token of the admin port, good for so many days or for ever, and return it."""
    from router.admin.tokens import Role, TokenFileError, create_token  # noqa: PLC0415

    if config.router.admin_tokens is None:
        fail('the configuration names no file of tokens: set admin_tokens = "tokens" in [router]')
    if role not in set(Role):
        fail(f"{role!r} is no role: read or operate")
    try:
        expires = None if days is None else datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
        return create_token(config.router.admin_tokens, name, Role(role), expires)
    except (TokenFileError, OverflowError) as error:
        fail(str(error))


def run_proxy_process(config: Config, fd: int | None, ready_fd: int | None, fail: Fail) -> None:
    """Run one proxy until SIGTERM."""
    from router.processes.secrets import SecretError  # noqa: PLC0415
    from router.processes.workers import ListenError, run_proxy  # noqa: PLC0415
    from router.telemetry.tracing import TracingUnavailableError  # noqa: PLC0415
    from router.upstream.upstream import CertificateError  # noqa: PLC0415
    from router.upstream.warmup import WarmupError  # noqa: PLC0415

    store = _open(config.router.database, fail)
    try:
        run_proxy(
            config,
            fd,
            load_routes=store.routes,
            lookup_exchange=store.find_exchange,
            load_drains=store.drains,
            ready_fd=ready_fd,
        )
    except (ListenError, SecretError, CertificateError, TracingUnavailableError, WarmupError) as error:
        fail(str(error))
    finally:
        store.close()


def run_control_process(config: Config, fail: Fail) -> None:
    """Run the controller and the admin API until SIGTERM."""
    from experiments.controller import Controller  # noqa: PLC0415
    from experiments.golden.gate import Gatekeeper  # noqa: PLC0415
    from experiments.golden.sets import GoldenError  # noqa: PLC0415
    from experiments.golden.store import GuardStore  # noqa: PLC0415
    from experiments.leadership import Leadership  # noqa: PLC0415
    from experiments.recorder import Recorder  # noqa: PLC0415
    from experiments.scorers import ScorerError  # noqa: PLC0415
    from router.admin.app import AdminServer  # noqa: PLC0415
    from router.golden.probing import golden, probe  # noqa: PLC0415
    from router.notify.desk import Desk, UnusableChannelError  # noqa: PLC0415
    from router.processes.workers import ListenError  # noqa: PLC0415
    from router.telemetry.logs import configure_logs  # noqa: PLC0415

    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = _open(config.router.database, fail)
    try:
        leadership = Leadership(config.router.database)
        desk = Desk(config, store, lambda: leadership.leads)
        recorder = Recorder(config, store)
        keeper = Gatekeeper(GuardStore(store.engine), partial(golden, config), partial(probe, config))
        controller = Controller(config, store, recorder, alerts=desk.alerts, leadership=leadership, gatekeeper=keeper)
        with AdminServer(config, store), desk:
            controller.run(stop)
        keeper.close()
    except (GoldenError, ScorerError, ListenError, UnusableChannelError) as error:
        fail(str(error))
    finally:
        store.close()


def _open(url: str, fail: Fail) -> Store:
    try:
        return open_store(url)
    except ModuleNotFoundError as error:
        fail(f"the database needs the module {error.name}: pip install 'touchstone-router[postgres]'")


@contextmanager
def store_if_there(config: Config, fail: Fail, *, wanted: bool) -> Iterator[Store | None]:
    """Open the store if it is wanted and there is one: before the first start there is nothing to keep a run in."""
    url = config.router.database
    if not wanted or (url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()):
        yield None
        return
    with reading(config, fail) as store:
        yield store


@contextmanager
def reading(config: Config, fail: Fail) -> Iterator[Store]:
    """Open the store for reading; a store that is away or empty is one clear line."""
    url = config.router.database
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        fail(f"no database at {url.removeprefix('sqlite:///')}: has `touchstone serve` run with this configuration?")
    store = _open(url, fail)
    try:
        yield store
    except (OperationalError, DatabaseError) as error:
        fail(f"the database cannot be read: {' '.join(str(error.orig).split())}")
    finally:
        store.close()
