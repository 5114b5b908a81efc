"""What all commands share: their common options, failing in one line, the configuration, the store, and printing.

Exit codes: 0 done; 1 the answer is "no"; 2 the input or the surroundings are wrong, with one clear line on stderr.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    from experiments.config import Config, Experiment
    from experiments.engines import Client
    from experiments.store import Store
    from router.views import View

Fail = Callable[[str], NoReturn]
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", dir_okay=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept with the change.")]
CONFIG = Path("config.toml")
_SQLITE = "sqlite:///"
# What users sent is shown as it is: square brackets in it are no markup.
out = Console(highlight=False, markup=False)


def fail(message: str) -> NoReturn:
    """Say in one line what is wrong, and end with exit code 2."""
    typer.echo(f"touchstone: {message}", err=True)
    raise typer.Exit(2)


def load_or_fail(path: Path, fail: Fail, snapshot: Path | None = None) -> Config:
    """Load a configuration (or a copy of it), or print every problem, a line each, and exit."""
    from experiments.config import ConfigError, load  # noqa: PLC0415  # the command line starts fast

    try:
        return load(path, snapshot=snapshot)
    except ConfigError as error:
        fail("\n".join(["the configuration has errors:", *map(str, error.problems)]))


def known_or_fail(config: Config, name: str, fail: Fail) -> Experiment:
    """Return an experiment by its name, or say which there are and exit."""
    found = config.experiments.get(name)
    if found is None:
        known = ", ".join(sorted(config.experiments)) or "none"
        fail(f"no experiment {name!r} in {config.path}; there are: {known}")
    return found


def reason_or_fail(reason: str, fail: Fail) -> str:
    """Return a reason on one line; a change without one is not made."""
    line = " ".join(reason.split())
    if not line:
        fail("a reason is needed: --reason TEXT")
    return line


def user() -> str:
    """Return in whose name a change is made: the user of this machine."""
    return f"cli:{getpass.getuser()}"


def open_or_fail(url: str, fail: Fail, client: Client = "command") -> Store:
    """Open a store for one kind of process; a driver that is not installed is one line."""
    from experiments.store import open_store  # noqa: PLC0415

    try:
        return open_store(url, client)
    except ModuleNotFoundError as error:
        fail(f"the database needs the module {error.name}: pip install 'touchstone-router[postgres]'")


@contextmanager
def reading(config: Config, fail: Fail) -> Iterator[Store]:
    """Open the store for reading; a store that is away or empty is one clear line."""
    from sqlalchemy.exc import DatabaseError  # noqa: PLC0415

    url = config.router.database
    if _is_missing(url):
        fail(f"no database at {url.removeprefix(_SQLITE)}: has `touchstone serve` run with this configuration?")
    store = open_or_fail(url, fail)
    try:
        yield store
    except DatabaseError as error:
        fail(_of_another_version(store) or f"the database cannot be read: {' '.join(str(error.orig).split())}")
    finally:
        store.close()


def _of_another_version(store: Store) -> str | None:
    """Say so if that is why a store cannot be read: tables or columns are missing, or are not known here."""
    from sqlalchemy.exc import DatabaseError  # noqa: PLC0415

    from experiments.workbench.errors import SchemaError, WorkbenchError  # noqa: PLC0415
    from experiments.workbench.opening import check_schema  # noqa: PLC0415

    try:
        check_schema(store.engine, "the database")
    except SchemaError as error:
        return str(error)
    except (DatabaseError, WorkbenchError):
        return None
    return None


@contextmanager
def store_if_there(config: Config, fail: Fail, *, wanted: bool) -> Iterator[Store | None]:
    """Open the store if it is wanted and there is one: before the first start there is nothing to keep a run in."""
    if not wanted or _is_missing(config.router.database):
        yield None
        return
    with reading(config, fail) as store:
        yield store


def _is_missing(url: str) -> bool:
    return url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists()


def show(view: View, *, json: bool) -> None:
    """Print what was found: for a program, or for a person."""
    if json:
        typer.echo(view.json())
        return
    for part in view.parts:
        out.print(part, soft_wrap=isinstance(part, str))


def show_json(data: Any) -> None:
    """Print data as indented JSON."""
    import msgspec  # noqa: PLC0415

    typer.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
