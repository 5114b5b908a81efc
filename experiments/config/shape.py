"""From the spelling that people like to the shape of the records: `"30%"`, `url = ...`, `unit = "header:x-user-id"`.

Only shapes are changed here. A value that has no known shape is passed on as it is, and the records refuse it with
their own rule; `experiments.config.messages.in_file` knows the way back to the file's keys.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from experiments.config.groups import expand
from experiments.config.records import HISTORY_SLICES, PROMPT_SLICES

Table = dict[str, Any]
_METRICS = ("guardrails", "goals", "monitors")
_ERRORS_DEFAULTS = {"max_relative": 1.2, "margin": 0.01}
_PLACE = re.compile(
    r"(?P<kind>header|cookie):(?P<name>[\w!#$%&'*+.^`|~-]+)|(?P<body>body):(?P<path>[^.]+(?:\.[^.]+)*)", re.ASCII
)
NO_FILES = ("sqlite:///", "sqlite:///:memory:")
"""SQLite URLs without a file: processes could not share them."""


def shape(raw: Table, path: Path) -> Table:
    """Return a whole document in the shape of `Config`."""
    shaped = {**raw, "path": path}
    shaped["router"] = _router(raw.get("router", {}), path.parent)
    shaped["backends"] = _each(raw.get("backends", {}), lambda name, t: _backend(name, t, path.parent))
    tables = raw.get("experiments", {})
    tables = expand(tables) if isinstance(tables, dict) else tables
    shaped["experiments"] = _each(tables, lambda name, t: _experiment(name, t, path.parent))
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
    if "admin_tokens" in table:
        changed["admin_tokens"] = _file(table["admin_tokens"], folder)
    for name in ("tls", "admin_tls"):
        _files_in(changed, name, ("certificate", "key"), folder)
    _files_in(changed, "monitoring", ("wandb_folder",), folder)
    return changed


def _files_in(table: Table, name: str, keys: tuple[str, ...], folder: Path) -> None:
    """Make the paths in a table within a table relative to the file's folder."""
    inner = table.get(name)
    if isinstance(inner, dict):
        table[name] = {key: _file(value, folder) if key in keys else value for key, value in inner.items()}


def _database(url: Any, folder: Path) -> Any:
    if not isinstance(url, str) or url in NO_FILES:
        return url
    if url.startswith("sqlite:///"):
        return f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def _file(value: Any, folder: Path) -> Any:
    return folder / value if isinstance(value, str) else value


def _backend(name: str, table: Table, folder: Path) -> Table:
    changed = {**table, "name": name}
    if "url" in changed and "urls" not in changed:
        changed["urls"] = (changed.pop("url"),)
    if isinstance(changed.get("urls"), list):
        changed["urls"] = tuple(changed["urls"])
    if isinstance(spot := changed.get("spot"), dict):
        lists = {key: tuple(spot[key]) for key in ("urls", "notice_urls") if isinstance(spot.get(key), list)}
        changed["spot"] = spot | lists
    _files_in(changed, "warmup", ("requests",), folder)
    _files_in(changed, "tls", ("ca",), folder)
    return changed


def _experiment(name: str, table: Table, folder: Path) -> Table:
    changed = {"salt": name, **table, "name": name}
    ramp = table.get("ramp", [table.get("split_percent", 0.0)])
    changed["ramp"] = tuple(ramp) if isinstance(ramp, list) else ramp
    if "unit" in table:
        changed["unit"] = source(table["unit"])
    if isinstance(table.get("slices"), list):
        changed["slices"] = tuple(_slice(item) for item in table["slices"])
    if isinstance(table.get("mirror_exclude"), list):
        changed["mirror_exclude"] = tuple(table["mirror_exclude"])
    if "golden" in table:
        changed["golden"] = _file(table["golden"], folder)
    if isinstance(table.get("match"), dict):
        changed["match"] = _match(table["match"])
    for group in _METRICS:
        if isinstance(table.get(group), dict):
            changed[group] = tuple(_metric(group, key, value, folder) for key, value in table[group].items())
    if isinstance(table.get("policy"), dict):
        changed["policy"] = _policy(table["policy"])
    return changed


def _match(table: Table) -> Table:
    headers = table.get("headers")
    if not isinstance(headers, dict):
        return table
    lowered = {name.lower(): value for name, value in headers.items()}
    return (
        {**table, "headers": lowered} if len(lowered) == len(headers) else table
    )  # a rule refuses the second spelling


def _policy(table: Table) -> Table:
    lists = {key: table[key] for key in ("protected_slices", "waived_slices") if isinstance(table.get(key), list)}
    return table | {key: tuple(value) for key, value in lists.items()}


def _slice(item: Any) -> Any:
    if item in PROMPT_SLICES:
        return {"attribute": item, "source": {"kind": "prompt", "name": item}}
    if item in HISTORY_SLICES:
        return {"attribute": item, "source": {"kind": "history", "name": item}}
    found = source(item)
    if found is None or found["kind"] == "request":
        return None
    return {"attribute": found["name"].rpartition(".")[2], "source": found}


def _metric(group: str, name: str, table: Any, folder: Path) -> Any:
    if not isinstance(table, dict):
        return table
    changed = {**table, "name": name}
    if group == "guardrails" and name == "errors":
        changed = _ERRORS_DEFAULTS | changed
    if isinstance(better := changed.get("better_by"), str):
        changed["better_by"] = share(better)
    if "schema_file" in changed:
        changed["schema_file"] = _file(changed["schema_file"], folder)
    return changed


def share(text: str) -> Any:
    """Turn "30%" into 0.3; any other text stays.

    >>> share("30%"), share("a third")
    (0.3, 'a third')
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    return float(found.group(1)) / 100 if found else text


def source(text: Any) -> dict[str, str] | None:
    """Turn "header:X-User-Id" into a source, and anything that is none into nothing.

    >>> source("header:X-User-Id"), source("body:metadata.user"), source("X-User-Id")
    ({'kind': 'header', 'name': 'x-user-id'}, {'kind': 'body', 'name': 'metadata.user'}, None)
    """
    if text == "request":
        return {"kind": "request"}
    found = _PLACE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    if found["body"]:
        return {"kind": "body", "name": found["path"]}
    return {"kind": found["kind"], "name": found["name"].lower()}
