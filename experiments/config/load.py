"""`config.toml` and the environment -> `Config`, or every error at once."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_origin

import msgspec
from pydantic import ValidationError

from experiments.config.lines import LineMap, Location
from experiments.config.messages import Finding, findings
from experiments.config.problems import ConfigError, Problem, nearest
from experiments.config.records import Backend, Config, Experiment, RouterSettings
from experiments.config.rules import check
from experiments.config.shape import shape
from experiments.golden import GoldenError, load_golden

_PREFIX = "TOUCHSTONE_ROUTER_"


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read a configuration.

    Args:
        path: The file.
        environ: Variables `TOUCHSTONE_ROUTER_<KEY>` override keys of `[router]`; the process's environment by default.

    Raises:
        ConfigError: With every problem of the file and of the variables.
    """
    path = Path(path).absolute()
    text = _read(path)
    raw = _parse(text, path)
    overridden = _override(raw, os.environ if environ is None else environ, path)
    lines = LineMap(text)
    try:
        config = Config.model_validate(shape(overridden, path))
    except ValidationError as error:
        raise ConfigError(_problems(findings(error, overridden), path, lines, overridden)) from None
    found = [*check(config), *_golden(config)]
    if found:
        raise ConfigError(_problems(found, path, lines, overridden))
    return config


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(path, 1, "file", "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(path, 1, "file", "", "must be UTF-8 text")]) from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", None) or _line_in(str(error))
        raise ConfigError([Problem(path, line, "syntax", "", str(error) or "too deeply nested")]) from None


def _line_in(message: str) -> int:
    """Before Python 3.14 the line is only in the message: "... (at line 3, column 9)"."""
    _, _, rest = message.rpartition("at line ")
    digits = rest.partition(",")[0]
    return int(digits) if digits.isdigit() else 1


def _override(raw: dict[str, Any], environ: Mapping[str, str], path: Path) -> dict[str, Any]:
    problems, router = [], raw.get("router", {})
    if not isinstance(router, dict):
        return raw
    changed = dict(router)
    for name, value in environ.items():
        if not name.startswith(_PREFIX):
            continue
        key = name.removeprefix(_PREFIX).lower()
        field = RouterSettings.model_fields.get(key)
        if field is None:
            meant = nearest(key, RouterSettings.model_fields)
            problems.append(
                Problem(path, 1, name, value, "names no key of [router]", meant and _PREFIX + meant.upper())
            )
            continue
        changed[key] = _typed(value, field.annotation)
    if problems:
        raise ConfigError(problems)
    return {**raw, "router": changed} if changed != router else raw


def _typed(value: str, annotation: Any) -> Any:
    """Turn a variable's text into a number where a number is wanted; what does not fit is refused later, as a text."""
    wanted = getattr(annotation, "__origin__", annotation) if get_origin(annotation) is not None else annotation
    for number in (int, float):
        if wanted is number:
            try:
                return number(value)
            except ValueError:
                return value
    return value


def _golden(config: Config) -> Iterable[Finding]:
    for name, experiment in config.experiments.items():
        if experiment.golden is None:
            continue
        try:
            load_golden(experiment.golden)
        except GoldenError as error:
            yield Finding(("experiments", name, "golden"), f"cannot be used: {error}")


def _problems(found: Iterable[Finding], path: Path, lines: LineMap, raw: dict[str, Any]) -> list[Problem]:
    problems = [
        Problem(
            path, lines.line(f.location), ".".join(map(str, f.location)), _shown(raw, f.location), f.rule, f.suggestion
        )
        for f in found
    ]
    return sorted(problems, key=lambda problem: problem.line)


def _shown(raw: Any, location: Location) -> str:
    """Return the value at a location as it stands in the file; tables are not shown."""
    for part in location:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return ""
    if isinstance(raw, dict):
        return ""
    return msgspec.json.encode(raw, enc_hook=str).decode()[:80]


def config_hash(experiment: Experiment, backends: Mapping[str, Backend]) -> str:
    """Return what identifies an epoch of one experiment: everything that bears on its figures, and nothing else."""
    described = experiment.model_dump(mode="json", exclude={"owner", "hypothesis"})
    described["backends"] = {
        side: backends[name].model_dump(mode="json")
        for side, name in (("control", experiment.control), ("treatment", experiment.treatment))
    }
    return hashlib.sha256(msgspec.json.encode(described, order="deterministic")).hexdigest()
