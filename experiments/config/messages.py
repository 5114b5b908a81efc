"""pydantic's findings in plain words, at the keys that stand in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

from experiments.config.fields import METRIC_GROUPS, keys_at, range_at, record_at
from experiments.config.lines import Location
from experiments.config.problems import nearest

_SOURCE_RULE = 'must be "header:NAME", "cookie:NAME", "body:path.to.field" or "request"'
_SLICE_RULE = 'must be "header:NAME", "cookie:NAME" or "body:path.to.field"'
_BETTER_BY_RULE = 'must be a share such as "30%" or 0.3, from 0 to below 1'
_MARGIN_KEYS = {"margin", "tolerance", "slice_margin"}
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text in quotes",
    "bool": "true or false",
    "dict": "a table",
    "tuple": "a list",
    "model": "a table",
    "path": "a text in quotes",
    "is_instance_of": "a text in quotes",  # pydantic's name for "not a path"
}
_FIXED_RULES = {
    "missing": "is missing",
    "too_short": "must not be empty",
    "finite_number": "must be a finite number",
    "int_from_float": "must be a whole number",
}
_LIMITS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}


class Finding(NamedTuple):
    """A problem before it has a file and a line."""

    location: Location
    rule: str
    suggestion: str = ""
    because: tuple[Location, ...] = ()
    """Other keys that it rests upon: with one of them wrong itself, the finding says nothing."""


def findings(error: ValidationError, raw: dict[str, Any]) -> list[Finding]:
    """Return what pydantic found, in the file's own terms."""
    found: dict[Location, Finding] = {}
    for detail in error.errors(include_url=False):
        location = in_file(detail["loc"], raw)
        found.setdefault(location, _finding(location, detail, raw))
    misspelt = {(*f.location[:-1], f.suggestion) for f in found.values() if f.suggestion}
    return [f for f in found.values() if not (f.rule == _FIXED_RULES["missing"] and f.location in misspelt)]


def implied(raw: dict[str, Any]) -> Iterator[Finding]:
    """Yield keys that are fields of a record, and yet no keys of the file: names are the tables' own names."""
    if "path" in raw:
        yield _unknown(("path",))
    for top in ("backends", "experiments"):
        for name, table in _tables(raw.get(top)):
            yield from _named((top, name), table)
            for group in METRIC_GROUPS:
                for metric, inner in _tables(table.get(group)):
                    yield from _named((top, name, group, metric), inner)


def _tables(node: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(name, child) for name, child in node.items() if isinstance(child, dict)] if isinstance(node, dict) else []


def _named(location: Location, table: dict[str, Any]) -> Iterator[Finding]:
    if "name" in table and record_at(location) is not None:
        yield _unknown((*location, "name"))


def in_file(loc: Location, raw: dict[str, Any]) -> Location:
    """Translate a record's location to the file's.

    Metrics are tables by name there, `url` may stand for `urls` and `split_percent` for `ramp`; header names have
    capitals; a source and a slice are one text.
    """
    found: list[int | str] = []
    node: Any = raw
    for part in loc:
        found.append(_part_in_file(part, tuple(found), node))
        node = _child(node, found[-1])
        match found:
            case (
                ["backends", _, "url"] | ["experiments", _, "unit" | "split_percent"] | ["experiments", _, "slices", _]
            ):
                break
            case ["experiments", _, str(group), _, "name"] if group in METRIC_GROUPS:
                return tuple(found[:-1])
    return tuple(found)


def _part_in_file(part: int | str, parent: Location, node: Any) -> int | str:
    if not isinstance(node, dict):
        return part
    if isinstance(part, int):  # the records hold metrics as a list in the order of the file
        return str(list(node)[part])
    match (*parent, part):
        case ("backends", _, "urls") if "urls" not in node:
            return "url"
        case ("experiments", _, "ramp") if "ramp" not in node and "split_percent" in node:
            return "split_percent"
        case ("experiments", _, "match", "headers", str(header)):
            return next((str(key) for key in node if key.lower() == header), part)
    return part


def _child(node: Any, part: int | str) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _finding(location: Location, detail: Any, raw: dict[str, Any]) -> Finding:
    match location:
        case ("experiments", _, "unit"):
            return Finding(location, _SOURCE_RULE)
        case ("experiments", _, "slices", _):
            return Finding(location, _SLICE_RULE)
        case ("experiments", _, "policy", "golden"):
            return Finding(location, f"belongs in [experiments.{location[1]}], not in its policy")
        case ("backends", name, "url") if "urls" in raw["backends"][name]:
            return Finding(location, "give url or urls, not both")
    if detail["type"] == "extra_forbidden":
        return _unknown(location)
    rule = _rule(location, detail)
    return Finding(location, rule, _meant(detail))


def _unknown(location: Location) -> Finding:
    allowed = keys_at(location[:-1])
    return Finding(location, f"unknown key; known here: {', '.join(allowed)}", nearest(str(location[-1]), allowed))


def _rule(location: Location, detail: Any) -> str:
    kind = detail["type"]
    if kind in _FIXED_RULES:
        return _FIXED_RULES[kind]
    if location[-1] == "better_by":
        return _BETTER_BY_RULE
    if kind in _LIMITS:
        return _limit(location)
    if kind == "literal_error":
        return f"must be {detail['ctx']['expected']}".replace("'", '"')
    if location[0] == "experiments" and len(location) == 3 and location[2] in METRIC_GROUPS:
        return "must be a table"
    wanted = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_attributes")
    return f"must be {_TYPES.get(wanted, wanted.replace('_', ' '))}"


def _limit(location: Location) -> str:
    rule = f"must be {range_at(location)}"
    return f"{rule}: a margin is a positive share, 0.02 is 2 points" if location[-1] in _MARGIN_KEYS else rule


def _meant(detail: Any) -> str:
    if detail["type"] != "literal_error" or not isinstance(detail["input"], str):
        return ""
    return nearest(detail["input"], [w.strip("' ") for w in detail["ctx"]["expected"].replace(" or ", ",").split(",")])
