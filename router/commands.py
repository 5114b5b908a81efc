"""What the subcommands do: processes put together from the configuration, and readers of the store."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from sqlalchemy.exc import DatabaseError, OperationalError

from experiments.config import Config, ConfigError, Experiment, load
from experiments.store import Store, open_store

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
    from experiments.golden import GoldenError  # noqa: PLC0415
    from experiments.recorder import Recorder  # noqa: PLC0415
    from router.admin.app import AdminServer  # noqa: PLC0415
    from router.processes.workers import ListenError  # noqa: PLC0415
    from router.telemetry.logs import configure_logs  # noqa: PLC0415

    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = _open(config.router.database, fail)
    try:
        controller = Controller(config, store, Recorder(config, store))
        with AdminServer(config, store):
            controller.run(stop)
    except (GoldenError, ListenError) as error:
        fail(str(error))
    finally:
        store.close()


def _open(url: str, fail: Fail) -> Store:
    try:
        return open_store(url)
    except ModuleNotFoundError as error:
        fail(f"the database needs the module {error.name}: pip install 'touchstone-router[postgres]'")


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
