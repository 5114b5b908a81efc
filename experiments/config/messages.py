"""pydantic's findings in plain words, at the keys that stand in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from experiments.config import records
from experiments.config.lines import Location
from experiments.config.problems import nearest

_METRIC_GROUPS: dict[str, type[BaseModel]] = {
    "guardrails": records.Guardrail,
    "goals": records.Goal,
    "monitors": records.Monitor,
}
_IMPLIED = {"name", "salt", "path"}
_SOURCE_RULE = 'must be "header:NAME", "cookie:NAME", "body:path.to.field" or "request"'
_SLICE_RULE = 'must be "header:NAME", "cookie:NAME" or "body:path.to.field"'


class Finding(NamedTuple):
    """A problem before it has a file and a line."""

    location: Location
    rule: str
    suggestion: str = ""


def findings(error: ValidationError, raw: dict[str, Any]) -> Iterator[Finding]:
    """Yield what pydantic found, in the file's own terms."""
    seen: set[Location] = set()
    for detail in error.errors(include_url=False, include_context=True, include_input=False):
        location = _in_file(detail["loc"], raw)
        if location in seen:
            continue
        seen.add(location)
        yield _finding(location, detail)


def _in_file(loc: tuple[int | str, ...], raw: dict[str, Any]) -> Location:
    """Translate a record's location to the file's: metrics are tables by name there, one url stands for urls."""
    found: list[int | str] = []
    node: Any = raw
    for part in loc:
        if isinstance(part, int) and isinstance(node, dict):
            # The records hold metrics as a list in the order of the file.
            part = list(node)[part]  # noqa: PLW2901
        if part == "urls" and isinstance(node, dict) and "url" in node:
            return (*found, "url")
        found.append(part)
        node = _child(node, part)
        if found[-1] == "unit" or (len(found) >= 2 and found[-2] == "slices"):
            break
    return tuple(found)


def _child(node: Any, part: int | str) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _finding(location: Location, detail: Any) -> Finding:
    if location and location[-1] == "unit":
        return Finding(location, _SOURCE_RULE)
    if len(location) >= 2 and location[-2] == "slices":
        return Finding(location, _SLICE_RULE)
    if detail["type"] == "extra_forbidden":
        allowed = allowed_keys(location[:-1])
        return Finding(location, f"unknown key; known here: {', '.join(allowed)}", nearest(str(location[-1]), allowed))
    return Finding(location, _rule(detail), _value_suggestion(detail))


def allowed_keys(parent: Location) -> list[str]:
    """Return the keys that may stand in a table of the file."""
    if not parent:
        return ["router", "backends", "experiments"]
    if parent[0] == "router":
        return _fields(records.RouterSettings)
    if parent[0] == "backends":
        return _fields(records.Price) if len(parent) > 2 else ["url", *_fields(records.Backend)]
    if len(parent) == 2:
        return ["salt", *_fields(records.Experiment)]
    group = str(parent[2])
    if group in _METRIC_GROUPS:
        return _fields(_METRIC_GROUPS[group])
    return _fields(records.Match if group == "match" else records.Policy)


def _fields(record: type[BaseModel]) -> list[str]:
    return [
        name for name in record.model_fields if name not in _IMPLIED or (name == "path" and record is records.Match)
    ]


_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text in quotes",
    "bool": "true or false",
    "dict": "a table",
    "tuple": "a list",
    "model": "a table",
}


_FIXED_RULES = {
    "missing": "is missing",
    "too_short": "must not be empty",
    "finite_number": "must be a finite number",
}


def _rule(detail: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    limits = {
        "greater_than": "must be above {gt:g}",
        "greater_than_equal": "must be {ge:g} or more",
        "less_than": "must be below {lt:g}",
        "less_than_equal": "must be {le:g} or less",
    }
    if kind in limits:
        return limits[kind].format(**context)
    if kind in _FIXED_RULES:
        return _FIXED_RULES[kind]
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", '"')
    wanted = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_attributes")
    return f"must be {_TYPES.get(wanted, wanted.replace('_', ' '))}"


def _value_suggestion(detail: Any) -> str:
    if detail["type"] != "literal_error" or not isinstance(detail.get("input"), str):
        return ""
    return nearest(detail["input"], [w.strip("' ") for w in detail["ctx"]["expected"].replace(" or ", ",").split(",")])
