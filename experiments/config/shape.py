"""From the spelling that people like to the shape of the records: `"30%"`, `url = ...`, `unit = "header:x-user-id"`.

Only shapes are changed here. A value that has no known shape is passed on as it is, and the records refuse it with
their own rule. Every function also says where in the file a record's field came from, so that errors find their line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

Table = dict[str, Any]
_METRICS = ("guardrails", "goals", "monitors")
_ERRORS_DEFAULTS = {"max_relative": 1.2, "margin": 0.01}


def shape(raw: Table, path: Path) -> Table:
    """Return a whole document in the shape of `Config`."""
    shaped = {**raw, "path": path}
    shaped["router"] = _router(raw.get("router", {}), path.parent)
    shaped["backends"] = _each(raw.get("backends", {}), _backend)
    shaped["experiments"] = _each(raw.get("experiments", {}), lambda name, t: _experiment(name, t, path.parent))
    return shaped


def _each(tables: Any, change: Any) -> Any:
    if not isinstance(tables, dict):
        return tables
    return {name: change(name, table) if isinstance(table, dict) else table for name, table in tables.items()}


def _router(table: Any, folder: Path) -> Any:
    if not isinstance(table, dict):
        return table
    changed = dict(table)
    changed["database"] = _database(table.get("database", "sqlite:///touchstone.db"), folder)
    changed["journal"] = _file(table.get("journal", "journal"), folder)
    return changed


def _database(url: Any, folder: Path) -> Any:
    if not isinstance(url, str):
        return url
    if url.startswith("sqlite:///"):
        return f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def _file(value: Any, folder: Path) -> Any:
    return folder / value if isinstance(value, str) else value


def _backend(name: str, table: Table) -> Table:
    changed = {"name": name, **table}
    if "url" in changed and "urls" not in changed:
        changed["urls"] = (changed.pop("url"),)
    if isinstance(changed.get("urls"), list):
        changed["urls"] = tuple(changed["urls"])
    return changed


def _experiment(name: str, table: Table, folder: Path) -> Table:
    changed = {"name": name, "salt": name, **table}
    changed["ramp"] = tuple(_ramp(table)) if isinstance(table.get("ramp", []), list) else table["ramp"]
    if "unit" in table:
        changed["unit"] = source(table["unit"])
    if isinstance(table.get("slices"), list):
        changed["slices"] = tuple(_slice(item) for item in table["slices"])
    if "golden" in table:
        changed["golden"] = _file(table["golden"], folder)
    if isinstance(table.get("match"), dict):
        changed["match"] = _match(table["match"])
    for group in _METRICS:
        if isinstance(table.get(group), dict):
            changed[group] = tuple(_metric(group, key, value) for key, value in table[group].items())
    if isinstance(table.get("policy"), dict):
        changed["policy"] = _policy(table["policy"])
    return changed


def _ramp(table: Table) -> list[Any]:
    stages: list[Any] = table.get("ramp") or [table.get("split_percent", 0.0)]
    return stages


def _match(table: Table) -> Table:
    headers = table.get("headers")
    if not isinstance(headers, dict):
        return table
    return {**table, "headers": {str(name).lower(): value for name, value in headers.items()}}


def _policy(table: Table) -> Table:
    protected = table.get("protected_slices")
    return {**table, "protected_slices": tuple(protected)} if isinstance(protected, list) else table


def _slice(item: Any) -> Any:
    found = source(item)
    if not isinstance(found, dict) or found["kind"] == "request":
        return item
    return {"attribute": found["name"].rpartition(".")[2], "source": found}


def _metric(group: str, name: str, table: Any) -> Any:
    if not isinstance(table, dict):
        return table
    changed = {"name": name, **table}
    if group == "guardrails" and name == "errors":
        changed = _ERRORS_DEFAULTS | changed
    if isinstance(better := changed.get("better_by"), str):
        changed["better_by"] = share(better)
    return changed


def share(text: str) -> Any:
    """Turn "30%" into 0.3; any other text stays.

    >>> share("30%"), share("a third")
    (0.3, 'a third')
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    return float(found.group(1)) / 100 if found else text


def source(text: Any) -> Any:
    """Turn "header:X-User-Id" into a source; anything else stays as it is.

    >>> source("header:X-User-Id"), source("body:metadata.user")
    ({'kind': 'header', 'name': 'x-user-id'}, {'kind': 'body', 'name': 'metadata.user'})
    """
    if text == "request":
        return {"kind": "request"}
    if not isinstance(text, str):
        return text
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in {"header", "cookie", "body"}:
        return text
    return {"kind": kind, "name": name if kind == "body" else name.lower()}
