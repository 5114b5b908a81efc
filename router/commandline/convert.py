"""`touchstone convert`: experiments of GrowthBook and TensorZero as a configuration of ours, and the way back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commandline.common import fail, load_or_fail

if TYPE_CHECKING:
    from experiments.config import Config, Problem
    from experiments.config.lines import Location
    from experiments.config.messages import Finding
    from experiments.interop.conversion import Choices, Conversion

_SYSTEMS = ("growthbook", "tensorzero")
_HEAD = """\
# Converted from {file} by `touchstone convert --from {system}`.
# It says who is served what, and not yet what must be shown: add guardrails (docs/configuration.md), then
# `touchstone check` and `touchstone plan`.
{notes}
"""

FromOption = Annotated[
    str | None, typer.Option("--from", help="Whose file it is.", metavar="growthbook|tensorzero", show_default=False)
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", help="The file is a configuration; for whom.", metavar="growthbook|tensorzero"),
]
BackendOption = Annotated[
    list[str] | None,
    typer.Option("--backend", help="Where a backend is; may be repeated (GrowthBook).", metavar="NAME=URL"),
]
UnitOption = Annotated[
    list[str] | None,
    typer.Option("--unit", help="Where requests name an attribute: id=header:x-user-id.", metavar="ATTRIBUTE=SOURCE"),
]
ControlOption = Annotated[
    list[str] | None,
    typer.Option("--control", help="Which variant is the control (TensorZero).", metavar="FUNCTION=VARIANT"),
]
ExperimentOption = Annotated[
    list[str] | None,
    typer.Option("--experiment", help="Only this experiment, feature or function; may be repeated.", metavar="NAME"),
]


def convert(  # noqa: PLR0913, PLR0917  # the options of a command
    file: Annotated[Path, typer.Argument(help="What is converted.", dir_okay=False)],
    from_: FromOption = None,
    to: ToOption = None,
    backend: BackendOption = None,
    unit: UnitOption = None,
    control: ControlOption = None,
    path: Annotated[str, typer.Option(help="Requests to compare, where the file says none.")] = "/v1/chat/completions",
    experiment: ExperimentOption = None,
    stage: Annotated[int | None, typer.Option(help="With --to: which stage of the ramp, from 0.", metavar="N")] = None,
) -> None:
    """Print an experiment of GrowthBook or TensorZero as a configuration, or one of ours for them."""
    system = from_ or to
    if (from_ is None) == (to is None) or system not in _SYSTEMS:
        fail(f"one of --from and --to is needed, with one of {', '.join(_SYSTEMS)}")
    if to is not None:
        typer.echo(_exported(file, to, experiment or [], stage), nl=False)
        return
    from experiments.interop.conversion import Choices  # noqa: PLC0415  # the command line starts fast

    given = (_pairs("backend", backend), _pairs("unit", unit), _pairs("control", control))
    choices = Choices(*given, path, tuple(experiment or ()))
    typer.echo(_imported(file, system, choices), nl=False)


# --- from another system ----------------------------------------------------------------------------------------------


def _imported(file: Path, system: str, choices: Choices) -> str:
    """Return a configuration, as TOML, that loads."""
    import tomli_w  # noqa: PLC0415

    from experiments.interop import growthbook, tensorzero  # noqa: PLC0415

    document, line_of = _parsed(file, _text(file), is_json=system == "growthbook")
    found = (growthbook if system == "growthbook" else tensorzero).read(document, choices)
    notes = _told(found, file, line_of, document)
    comments = "\n".join(f"# {line}" for line in notes)
    text = _HEAD.format(file=file.name, system=system, notes=comments) + tomli_w.dumps(found.document)
    _check(text)
    return text


def _parsed(file: Path, text: str, *, is_json: bool) -> tuple[Any, Callable[[Location], int]]:
    from experiments.config.lines import LineMap  # noqa: PLC0415
    from experiments.interop.json_lines import JsonLines  # noqa: PLC0415

    try:
        if is_json:
            return json.loads(text), JsonLines(text).line
        return tomllib.loads(text), LineMap(text).line
    except json.JSONDecodeError as error:
        fail(f"{file}:{error.lineno}  is no JSON: {error.msg}")
    except (ValueError, RecursionError) as error:
        fail(f"{file}  is no {'JSON' if is_json else 'TOML'} that can be read: {error}")


def _check(text: str) -> None:
    """Load what would be printed: two features may be sound, and match the same requests."""
    from experiments.config import ConfigError, load  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        part = Path(folder) / "config.toml"
        part.write_text(text, encoding="utf-8")
        try:
            load(part, {})
        except ConfigError as error:
            # The lines are those of a file that nobody has.
            said = [str(problem).partition("  ")[2] or str(problem) for problem in error.problems]
            fail("\n".join(["nothing is converted, since this would be no configuration:", *said]))


def _pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            fail(f"--{option} {text!r} must be NAME=VALUE")
        found[name] = value
    return found


# --- to another system ------------------------------------------------------------------------------------------------


def _exported(file: Path, system: str, names: Sequence[str], stage: int | None) -> str:
    """Return experiments in the form of another system."""
    import tomli_w  # noqa: PLC0415

    from experiments.config.lines import LineMap  # noqa: PLC0415
    from experiments.config.messages import in_file  # noqa: PLC0415
    from experiments.interop import growthbook, tensorzero_export  # noqa: PLC0415

    config = load_or_fail(file, fail)
    text = _text(file)
    raw, lines = tomllib.loads(text), LineMap(text)
    chosen = _chosen(config, names)
    if system == "growthbook":
        found = growthbook.write([config.experiments[name] for name in chosen], stage)
    else:
        found = tensorzero_export.write(config, chosen, stage)
    in_words = [[f._replace(location=in_file(f.location, raw)) for f in part] for part in (found.refused, found.noted)]
    _told(found._replace(refused=in_words[0], noted=in_words[1]), file, lines.line, raw)
    if system == "growthbook":
        return json.dumps(found.document, indent=2, ensure_ascii=False) + "\n"
    return tomli_w.dumps(found.document)


def _chosen(config: Config, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in config.experiments:
            known = ", ".join(sorted(config.experiments)) or "none"
            fail(f"no experiment {name!r} in {config.path}; there are: {known}")
    return tuple(names or config.experiments)


# --- both -------------------------------------------------------------------------------------------------------------


def _told(found: Conversion, file: Path, line_of: Callable[[Location], int], document: Any) -> list[str]:
    """Say what was left out, and return it; what was refused is the end."""
    from experiments.interop.conversion import problems  # noqa: PLC0415

    def lines(findings: Iterable[Finding]) -> list[str]:
        told: list[Problem] = problems(findings, file, line_of, document)
        # Names of a foreign file may have anything in them, and a line of a comment must stay one.
        return ["".join(c if c.isprintable() else " " for c in str(problem)) for problem in told]

    if found.refused:
        fail("\n".join(["nothing is converted, since some of it has no match:", *lines(found.refused)]))
    notes = lines(found.noted)
    for line in notes:
        typer.echo(f"touchstone: note: {line}", err=True)
    return notes


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{file} must be UTF-8 text")
