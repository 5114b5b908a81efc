"""Which scorers there are, by name, and how one is made from a metric's keys.

Ours are listed as entry points, as those of other packages are (group `touchstone.scorers`): both take the same way
in. Each is loaded when it is asked for, so that a process which only reads a configuration pays for those that are in
it. What an entry point names is called with the metric's keys as keyword arguments and returns a `Scorer`, or an
`AskingScorer`; its signature says which keys it knows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from experiments.scorers.asking import AskingScorer, asks
from experiments.scorers.base import Scorer, ScorerError

if TYPE_CHECKING:
    from experiments.config.records import Guardrail, Monitor

GROUP = "touchstone.scorers"
_HERE = "experiments.scorers"
_OURS: dict[str, str] = {
    "agreement": "agreement:Agreement",
    "agreement_normalised": "agreement_normalised:AgreementNormalised",
    "answered_language": "answered_language:AnsweredLanguage",
    "chrf": "chrf:Chrf",
    "chrf_reference": "chrf:ChrfReference",
    "contains": "expectation:Contains",
    "empty": "empty:Empty",
    "exact": "exact:Exact",
    "golden": "expectation:Golden",
    "json_schema": "expectation:JsonSchema",
    "json_valid": "json_valid:JsonValid",
    "label": "label:Label",
    "length_ratio": "length_ratio:LengthRatio",
    "refusal": "refusal:Refusal",
    "regex": "expectation:Regex",
    "rouge_l": "rouge_l:RougeL",
    "tool_calls": "tool_calls:ToolCalls",
    "truncated": "truncated:Truncated",
}
_ASKING: dict[str, str] = {"judge": "judge:Judge", "similarity": "similarity:Similarity"}
OURS = tuple(_OURS)
"""The names of the scorers that come with Touchstone and score at once."""
ASKING = tuple(_ASKING)
"""The names of those that ask another server."""
_ALL = _OURS | _ASKING
KEYS = ("label", "patterns", "schema_file", "judge", "embeddings")
"""Keys of a metric that are for its scorer; `options` holds those of a scorer that is none of ours."""


def names() -> tuple[str, ...]:
    """Return the names of all scorers, ours first, then those of installed packages."""
    return (*sorted(_ALL), *sorted({point.name for point in entry_points(group=GROUP)} - _ALL.keys()))


def factory(name: str) -> Callable[..., Any] | None:
    """Return what makes a scorer; None if there is none of this name. Ours win over others of the same name.

    Raises:
        ScorerError: It is installed and cannot be loaded.
    """
    if name in _ALL:
        point: EntryPoint | None = EntryPoint(name, f"{_HERE}.{_ALL[name]}", GROUP)
    else:
        point = next(iter(entry_points(group=GROUP, name=name)), None)
    if point is None:
        return None
    try:
        made: Callable[..., Any] = point.load()
    except Exception as error:
        raise ScorerError("scorer", f"cannot be loaded: {_said(error)}") from error
    return made


def needs_reference(name: str) -> bool:
    """Whether a scorer compares with a golden set; it says so by an attribute of the same name.

    Raises:
        ScorerError: It cannot be loaded.
    """
    return bool(getattr(factory(name), "needs_reference", False))


def build(name: str, keys: Mapping[str, Any]) -> Scorer:
    """Make a scorer that scores at once; see `build_any`.

    Raises:
        ScorerError: As `build_any`, or it asks another server.
    """
    made = build_any(name, keys)
    if asks(made):
        raise ScorerError("scorer", "asks another server")
    return made


def build_any(name: str, keys: Mapping[str, Any]) -> Scorer | AskingScorer:
    """Make a scorer, of either kind.

    Args:
        name: As in the configuration.
        keys: Its keyword arguments.

    Raises:
        ScorerError: There is none of this name, it does not know one of the keys, or refuses a value.
    """
    make = factory(name)
    if make is None:
        raise ScorerError("scorer", f"is no scorer; there are {', '.join(names())}")
    try:
        _check_keys(name, make, keys)
        made = make(**keys)
        sound = isinstance(made.version, str) and _has_methods(made)
    except ScorerError:
        raise
    except Exception as error:
        raise ScorerError("scorer", f"cannot be made: {_said(error)}") from error
    if not sound:
        raise ScorerError("scorer", "is no scorer: it needs a text `version` and a method `score`")
    scorer: Scorer | AskingScorer = made
    return scorer


def _has_methods(made: Any) -> bool:
    return callable(made.questions) and callable(made.read) if asks(made) else callable(made.score)


def scorer_for(metric: Guardrail | Monitor) -> Scorer | AskingScorer | None:
    """Return the scorer that a metric of the configuration names, or None if it names none.

    Raises:
        ScorerError: It cannot be made.
    """
    return None if metric.scorer is None else build_any(metric.scorer, keys_of(metric))


def keys_of(metric: Guardrail | Monitor) -> dict[str, Any]:
    """Return the keyword arguments that a metric has for its scorer.

    Raises:
        ScorerError: `options` are given to a scorer of ours.
    """
    if metric.options and metric.scorer in _ALL:
        raise ScorerError("options", f'is for scorers of other packages, and "{metric.scorer}" is none')
    return {key: value for key in KEYS if (value := getattr(metric, key)) not in (None, ())} | metric.options


def _check_keys(name: str, make: Callable[..., Any], keys: Mapping[str, Any]) -> None:
    """Hold the keys against the signature.

    Raises:
        ScorerError: A key is not known, or one is missing.
    """
    known = inspect.signature(make).parameters.values()
    taken = {p.name for p in known if p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known)
    for key in keys:
        if key not in taken and not takes_any:
            at = key if key in KEYS else "options"
            raise ScorerError(at, _not_for(name, key))
    for parameter in known:
        if parameter.name in taken - keys.keys() and parameter.default is parameter.empty:
            at = parameter.name if parameter.name in KEYS else "options"
            raise ScorerError(at, f'"{parameter.name}" is missing: scorer = "{name}" needs it')


_FOR = {
    "label": '"label" or "golden"',
    "patterns": '"refusal"',
    "schema_file": '"json_valid"',
    "judge": '"judge"',
    "embeddings": '"similarity"',
}


def _not_for(name: str, key: str) -> str:
    if key in _FOR:
        return f"is for scorer = {_FOR[key]} only"
    return f'"{key}" is no option of scorer = "{name}"'


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
