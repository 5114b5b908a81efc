"""Variables of the environment that override keys of `[router]`: `TOUCHSTONE_ROUTER_LISTEN=0.0.0.0:80`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.config.problems import Problem, nearest, shown
from experiments.config.records import RouterSettings

_PREFIX = "TOUCHSTONE_ROUTER_"
_FILE = Path("environment")


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return key of `[router]` -> value, for every variable with our prefix, known or not."""
    return {name.removeprefix(_PREFIX).lower(): value for name, value in environ.items() if name.startswith(_PREFIX)}


def override(raw: dict[str, Any], found: Mapping[str, str]) -> dict[str, Any]:
    """Return the document with the variables' values in `[router]`; unknown ones are left out."""
    router = raw.get("router", {})
    known = {key: _typed(key, value) for key, value in found.items() if key in RouterSettings.model_fields}
    return {**raw, "router": {**router, **known}} if known and isinstance(router, dict) else raw


def unknown(found: Mapping[str, str]) -> list[Problem]:
    """Return a problem for each variable that names no key of `[router]`."""
    keys = RouterSettings.model_fields
    return [
        problem(key, value, "names no key of [router]", nearest(key, keys))
        for key, value in found.items()
        if key not in keys
    ]


def problem(key: str, value: str, rule: str, suggestion: str = "") -> Problem:
    """Return a problem that names the variable, not the key of the file."""
    meant = _PREFIX + suggestion.upper() if suggestion in RouterSettings.model_fields else suggestion
    return Problem(_FILE, 0, _PREFIX + key.upper(), shown(value), rule, meant)


def _typed(key: str, value: str) -> Any:
    """Turn a variable's text into a number where a number is wanted; what does not fit is refused later, as a text."""
    wanted = RouterSettings.model_fields[key].annotation
    try:
        return wanted(value) if wanted in {int, float} else value
    except ValueError:
        return value
