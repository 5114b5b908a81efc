"""What is sound of a configuration with errors, so that the rules between records are checked in the same run.

A wrong key is replaced by its default, or by a stand-in where there is none. What a rule then finds at a stand-in, or
because of one, is left out again: it would blame a key for an error that is told already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from experiments.config.lines import Location
from experiments.config.messages import Finding, meant_keys
from experiments.config.records import Config

_STAND_INS: dict[str, Any] = {
    "backends": {},
    "experiments": {},
    "urls": ("http://stand-in",),
    "input": 0.0,
    "output": 0.0,
    "match": {"path": "/"},
    "path": "/",
    "control": "",
    "treatment": "",
    "ramp": (0.0,),
    "salt": "",
    "better_by": 0.5,
    "certificate": Path("stand-in"),
    "key": Path("stand-in"),
    "requests": Path("stand-in"),
    "endpoint": "http://stand-in",
    "url": "env:STAND_IN",
    "start": "00:00",
    "end": "12:00",
    "zone": "UTC",
}
_MOST_REPAIRS = 300


def salvage(shaped: dict[str, Any]) -> Config | None:
    """Return the configuration with stand-ins for what is wrong; None if too much is."""
    replaced: set[Location] = set()
    for _ in range(_MOST_REPAIRS):
        try:
            return Config.model_validate(shaped)
        except ValidationError as error:
            location = error.errors(include_url=False)[0]["loc"]
        # A metric with an impossible name is no metric.
        location = location[:-1] if location[-1] == "name" and len(location) > 1 else location
        stand_in = None if location in replaced else _STAND_INS.get(str(location[-1]))
        replaced.add(location)
        shaped = _repaired(shaped, location, stand_in)
    return None


def _repaired(node: Any, location: Location, stand_in: Any) -> Any:
    """Return the node with a stand-in at a location, or without what is there if there is no stand-in."""
    part, *rest = location
    if isinstance(node, dict):
        if rest:
            return {**node, part: _repaired(node[part], tuple(rest), stand_in)}
        others = {key: value for key, value in node.items() if key != part}
        return others if stand_in is None else {**others, part: stand_in}
    index = int(part)
    kept = (_repaired(node[index], tuple(rest), stand_in),) if rest else ()
    return (*node[:index], *kept, *node[index + 1 :])


def trustworthy(found: Iterable[Finding], wrong: Iterable[Finding], raw: dict[str, Any]) -> list[Finding]:
    """Return the findings that would be there without the wrong keys, too."""
    tainted = [location for finding in wrong for location in _taints(finding, raw)]
    return [
        finding
        for finding in found
        if not any(_is_above(at, finding.location) for at in tainted)
        and not any(_is_above(at, key) or _is_above(key, at) for at in tainted for key in finding.because)
    ]


def _taints(finding: Finding, raw: Any) -> Iterator[Location]:
    """Yield the key of a finding, and for a misspelt one the key that was meant, unless that stands there as well."""
    yield finding.location
    *parent, _ = finding.location
    for part in parent:
        raw = raw[part]
    yield from (meant for meant in meant_keys(finding) if meant[-1] not in raw)


def _is_above(ancestor: Location, location: Location) -> bool:
    return location[: len(ancestor)] == ancestor
