"""What a conversion yields: a document, and everything that does not match, each at its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.metric_rules import NAME, NAME_RULE
from experiments.config.problems import Problem, dotted, shown
from experiments.config.records import Experiment, Source

Table = dict[str, Any]
CHAT_PATH = "/v1/chat/completions"
_PLACE = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_Record = TypeVar("_Record")


class Conversion(NamedTuple):
    """What became of a document."""

    document: Table
    """In the form of the other side: a configuration's `backends` and `experiments`, or features, or functions."""
    refused: list[Finding]
    """What has no match here, and would change who is served what; with one of these nothing should be written."""
    noted: list[Finding]
    """What was left out, or means something else on the other side, and changes nobody's variant by itself."""


class Choices(NamedTuple):
    """What a file of another system does not say."""

    backends: Mapping[str, str] = {}
    """Name of a backend -> its base URL."""
    units: Mapping[str, str] = {}
    """Attribute of a user -> where a request says it, for example `header:x-user-id`."""
    controls: Mapping[str, str] = {}
    """Name of a function -> which of its variants is the control."""
    path: str = CHAT_PATH
    """Which requests are compared, where the file names no path."""
    only: tuple[str, ...] = ()
    """Which features or functions are read; all of them unless given."""


def problems(
    findings: Iterable[Finding], file: Path, line_of: Callable[[Location], int], document: Any
) -> list[Problem]:
    """Return findings as lines that name file, line, key, value and rule.

    Args:
        findings: At their locations in the document.
        file: As it was named.
        line_of: Location -> line, from 1; 0 where that is not known.
        document: Where the values stand.
    """
    return [
        Problem(file, line_of(at), dotted(at), shown(value_at(document, at)), rule, suggestion)
        for at, rule, suggestion, _ in findings
    ]


def value_at(document: Any, location: Location) -> Any:
    """Return the value at a location; a table, which is never shown, where there is none."""
    for part in location:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return document


def record_of(table: Any, kind: type[_Record], at: Location) -> _Record | Finding:
    """Return a table of a foreign document as a record, or what is wrong with its first wrong key.

    Args:
        table: As it was parsed.
        kind: A struct that forbids unknown fields.
        at: Where the table stands.
    """
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$")
        unknown = re.search(r"unknown field `(.+)`", said)
        inside = tuple(int(index) if index else name for name, index in _PLACE.findall(place))
        key = (unknown[1],) if unknown else ()
        return Finding((*at, *inside, *key), "is no key that is known here" if unknown else said[:1].lower() + said[1:])


def name_problem(at: Location, name: str) -> Finding | None:
    """Return why a name cannot be that of an experiment or a backend."""
    return None if NAME.fullmatch(name) else Finding(at, f"{NAME_RULE}: rename it there first")


def source_text(source: Source) -> str:
    """Write a source as it stands in a configuration.

    >>> source_text(Source(kind="header", name="x-user-id"))
    'header:x-user-id'
    """
    return f"{source.kind}:{source.name}" if source.name else source.kind


def not_carried(experiment: Experiment, carried: Iterable[str]) -> list[str]:
    """Return the keys of an experiment that say something other than their default, and are not carried over."""
    told_elsewhere = {"name", "cohort", "split_percent", *carried}
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Experiment.model_fields.items()}
    defaults["salt"] = experiment.name
    return [
        name
        for name, default in defaults.items()
        if name not in told_elsewhere and getattr(experiment, name) != default
    ]


def stage_percent(experiment: Experiment, stage: int | None) -> float | None:
    """Return the split of a stage of the ramp, in percent; None if the ramp has several and none is chosen.

    Args:
        experiment: With its ramp.
        stage: Counted from 0; None if nobody chose one.
    """
    if stage is not None:
        return experiment.ramp[stage] if 0 <= stage < len(experiment.ramp) else None
    return experiment.ramp[0] if len(experiment.ramp) == 1 else None


def whole_percent(share: float) -> float:
    """Return a share in percent, without the dust of floating point.

    >>> whole_percent(0.07), whole_percent(1 / 3)
    (7.0, 33.3333333333)
    """
    return round(share * 100, 10)
