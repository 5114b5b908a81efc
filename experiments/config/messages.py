"""pydantic's findings in plain words, at the keys that stand in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

from experiments.config.fields import METRIC_GROUPS, keys_at, range_at, record_at
from experiments.config.groups import KEY, clashes, in_tables
from experiments.config.lines import Location
from experiments.config.problems import nearest
from experiments.config.records import HISTORY_SLICES, PROMPT_SLICES

_SOURCE_RULE = 'must be "header:NAME", "cookie:NAME", "body:path.to.field" or "request"'
_SLICE_RULE = (
    'must be "header:NAME", "cookie:NAME" or "body:path.to.field", '
    'or what is found in the prompt: "language", "script", "code_switched", or "exposed_before"'
)
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
    misspelt = {meant for f in found.values() for meant in meant_keys(f)}
    return [f for f in found.values() if not (f.rule == _FIXED_RULES["missing"] and f.location in misspelt)]


def meant_keys(finding: Finding) -> Iterator[Location]:
    """Yield what a misspelt key was meant to be; `treatments` stands in for `treatment`."""
    if finding.suggestion:
        *parent, _ = finding.location
        yield (*parent, finding.suggestion)
        if finding.suggestion == KEY:
            yield (*parent, "treatment")


def implied(raw: dict[str, Any]) -> Iterator[Finding]:
    """Yield keys that are fields of a record, and yet no keys of the file: names are the tables' own names."""
    if "path" in raw:
        yield _unknown(("path",))
    yield from _named_twice(raw)
    for top in ("backends", "experiments"):
        for name, table in _tables(raw.get(top)):
            yield from _named((top, name), table)
            if top == "experiments":
                yield from _several((top, name), table)
            for group in METRIC_GROUPS:
                for metric, inner in _tables(table.get(group)):
                    yield from _named((top, name, group, metric), inner)


def _several(location: Location, table: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with `treatments`: the records never see it."""
    if "cohort" in table:
        yield _unknown((*location, "cohort"))
    if KEY not in table:
        return
    at, treatments = (*location, KEY), table[KEY]
    if "treatment" in table:
        yield Finding(at, "give treatment or treatments, not both")
    elif not isinstance(treatments, list):
        yield Finding(at, "must be a list")
    elif not treatments:
        yield Finding(at, _FIXED_RULES["too_short"])
    else:
        yield from _each_treatment(at, treatments)


def _each_treatment(at: Location, treatments: list[Any]) -> Iterator[Finding]:
    for place, treatment in enumerate(treatments):
        if not isinstance(treatment, str):
            yield Finding((*at, place), "must be a text in quotes")
        elif treatment in treatments[:place]:
            yield Finding((*at, place), f'there is a treatment "{treatment}" already')


def _named_twice(raw: dict[str, Any]) -> Iterator[Finding]:
    for member, name in clashes(raw.get("experiments")):
        rule = f'would be the experiment "{name}", and there is one of that name already'
        yield Finding(("experiments", member.group, KEY, member.place), rule)


def _tables(node: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(name, child) for name, child in node.items() if isinstance(child, dict)] if isinstance(node, dict) else []


def _named(location: Location, table: dict[str, Any]) -> Iterator[Finding]:
    if "name" in table and record_at(location) is not None:
        yield _unknown((*location, "name"))


def in_file(loc: Location, raw: dict[str, Any]) -> Location:
    """Translate a record's location to the file's.

    Metrics are tables by name there, `url` may stand for `urls` and `split_percent` for `ramp`; header names have
    capitals; a source and a slice are one text; of several `treatments` each is an experiment.
    """
    loc = in_tables(loc, raw)
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
            return Finding(location, _SLICE_RULE, _meant_slice(_value_at(location, raw)))
        case ("experiments", _, "policy", "golden"):
            return Finding(location, f"belongs in [experiments.{location[1]}], not in its policy")
        case ("backends", name, "url") if "urls" in raw["backends"][name]:
            return Finding(location, "give url or urls, not both")
    if detail["type"] == "extra_forbidden":
        return _unknown(location)
    rule = _rule(location, detail)
    return Finding(location, rule, _meant(detail))


def _unknown(location: Location) -> Finding:
    allowed = _keys_in_file(location[:-1])
    return Finding(location, f"unknown key; known here: {', '.join(allowed)}", nearest(str(location[-1]), allowed))


def _keys_in_file(table: Location) -> list[str]:
    """Return the keys that a table may have: `treatments` is spread over several records, and makes their cohorts."""
    found = ((key, KEY) if key == "treatment" else (key,) for key in keys_at(table) if key != "cohort")
    return [key for keys in found for key in keys]


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
    hint = "; several belong in treatments" if location[-1] == "treatment" and isinstance(detail["input"], list) else ""
    return f"must be {_TYPES.get(wanted, wanted.replace('_', ' '))}{hint}"


def _limit(location: Location) -> str:
    rule = f"must be {range_at(location)}"
    return f"{rule}: a margin is a positive share, 0.02 is 2 points" if location[-1] in _MARGIN_KEYS else rule


def _value_at(location: Location, raw: Any) -> Any:
    for part in location:
        raw = _child(raw, part)
    return raw


def _meant_slice(value: Any) -> str:
    return nearest(value, (*PROMPT_SLICES, *HISTORY_SLICES)) if isinstance(value, str) else ""


def _meant(detail: Any) -> str:
    if detail["type"] != "literal_error" or not isinstance(detail["input"], str):
        return ""
    return nearest(detail["input"], [w.strip("' ") for w in detail["ctx"]["expected"].replace(" or ", ",").split(",")])
