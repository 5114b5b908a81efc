"""`config.toml` and the environment -> `Config`, or every error at once."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from experiments.config import environment
from experiments.config.groups import in_tables
from experiments.config.lines import LineMap, Location
from experiments.config.messages import Finding, findings, implied, in_file
from experiments.config.problems import ConfigError, Problem, dotted, shown
from experiments.config.records import Backend, Config, Experiment
from experiments.config.rules import check
from experiments.config.salvage import salvage, trustworthy
from experiments.config.shape import shape
from experiments.golden.sets import GoldenError, load_golden


def load(path: Path, environ: Mapping[str, str] | None = None, *, snapshot: Path | None = None) -> Config:
    """Read a configuration.

    Args:
        path: The file.
        snapshot: Read this copy instead; everything is told and resolved as if it were the file.
        environ: Variables `TOUCHSTONE_ROUTER_<KEY>` override keys of `[router]`; the process's environment by default.

    Raises:
        ConfigError: With every problem of the file and of the variables.
    """
    path = Path(path)
    text = _read(snapshot or path)
    variables = environment.variables(os.environ if environ is None else environ)
    raw = environment.override(_parse(text, path), variables)
    config, found = _examine(raw, path.absolute())
    problems = [*environment.unknown(variables), *_problems(found, path, LineMap(text), raw, variables)]
    if problems or config is None:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line))
    return config


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([Problem(path, 1, "file", "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(path, 1, "file", "", "must be UTF-8 text")]) from None
    except ValueError:
        raise ConfigError([Problem(path, 1, "file", "", "is no possible name of a file")]) from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, rule = _line_in(str(error), text), str(error)
    except RecursionError:
        line, rule = 1, "too deeply nested"
    except ValueError:  # Python reads no integer of so many digits
        digits = re.search(r"[0-9_]{4300,}", text)
        line, rule = text.count("\n", 0, digits.start() if digits else 0) + 1, "a number has too many digits"
    raise ConfigError([Problem(path, line, "syntax", "", rule)])


def _line_in(message: str, text: str) -> int:
    """Before Python 3.14 the line is only in the message: "... (at line 3, column 9)"."""
    found = re.search(r"\(at line (\d+), column \d+\)$", message)
    return int(found[1]) if found else text.rstrip().count("\n") + 1  # "(at end of document)"


def _examine(raw: dict[str, Any], path: Path) -> tuple[Config | None, list[Finding]]:
    """Return the configuration as far as it is sound, and everything that is wrong."""
    shaped = shape(raw, path)
    wrong = list(implied(raw))
    try:
        config: Config | None = Config.model_validate(shaped)
    except ValidationError as error:
        wrong += findings(error, raw)
        config = salvage(shaped)
    if config is None:
        return None, wrong
    between = [_translated(finding, raw) for finding in (*check(config), *_golden(config))]
    # What is wrong with a table of several treatments is found once for each.
    once = {(finding.location, finding.rule): finding for finding in between}
    return config, wrong + trustworthy(once.values(), wrong, raw)


def _translated(finding: Finding, raw: dict[str, Any]) -> Finding:
    because = tuple(in_tables(location, raw) for location in finding.because)
    return finding._replace(location=in_file(finding.location, raw), because=because)


def _golden(config: Config) -> Iterator[Finding]:
    """Golden sets are read whole: a bad line would end the controller later, again and again."""
    reasons: dict[Path, str] = {}
    for name, experiment in config.experiments.items():
        if experiment.golden is None:
            continue
        if experiment.golden not in reasons:
            reasons[experiment.golden] = _unusable(experiment.golden)
        if reason := reasons[experiment.golden]:
            yield Finding(("experiments", name, "golden"), f"cannot be used: {reason}")


def _unusable(golden: Path) -> str:
    try:
        if golden.exists() and not golden.is_file():
            return f"{golden} is no file"
        load_golden(golden)
    except GoldenError as error:
        return str(error)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _problems(
    found: Iterable[Finding], path: Path, lines: LineMap, raw: dict[str, Any], variables: Mapping[str, str]
) -> Iterator[Problem]:
    for location, rule, suggestion, _ in found:
        key = str(location[-1])
        if location == ("router", key) and key in variables:
            yield environment.problem(key, variables[key], rule, suggestion)
        else:
            value = shown(_value(raw, location))
            yield Problem(path, lines.line(location), dotted(location), value, rule, suggestion)


def _value(raw: Any, location: Location) -> Any:
    """Return the value at a location as it stands in the file; a table where there is none."""
    for part in location:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return raw


def _given(backend: Backend) -> set[str]:
    """Return what bears on figures only where it is given: files without it keep their hash."""
    return {key for key in ("power", "spot") if getattr(backend, key) is not None}


_NO_BEARING = {"owner", "hypothesis", "golden", "capture", "retention_days"}


def config_hash(experiment: Experiment, backends: Mapping[str, Backend]) -> str:
    """Return what identifies an epoch of one experiment: everything that bears on its figures, and nothing else.

    Of the golden set its file's name counts, not its folder: a configuration that has moved is still the same.
    """
    # A single experiment reads as it did before there were groups.
    described = experiment.model_dump(mode="json", exclude=_NO_BEARING | (set() if experiment.cohort else {"cohort"}))
    described["golden"] = experiment.golden.name if experiment.golden else None
    bearing = {"name", "urls", "protocol", "price", "build"}
    described["backends"] = {
        side: backends[name].model_dump(mode="json", include=bearing | _given(backends[name]))
        for side, name in (("control", experiment.control), ("treatment", experiment.treatment))
    }
    return hashlib.sha256(msgspec.json.encode(described, order="deterministic")).hexdigest()
