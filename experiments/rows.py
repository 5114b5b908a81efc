"""Rows of the store <-> records. Nothing here touches a database."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from experiments.model import Exchange, Role, Route
from experiments.stored import LoadedExchange, Look, RouteState, StoredExchange

_LARGEST_INTEGER = 2**31 - 1
Row = Mapping[str, Any] | RowMapping
_EXCHANGE_FIELDS = tuple(f for f in Exchange.__struct_fields__ if f not in {"request_text", "response_text"})
_LOADED_FIELDS = tuple(f for f in LoadedExchange.__struct_fields__ if f != "exchange")
_exchange_of, _loaded_of = attrgetter(*_EXCHANGE_FIELDS), attrgetter(*_LOADED_FIELDS)


def exchange_values(loaded: LoadedExchange) -> dict[str, Any]:
    """Return the row of a loaded exchange."""
    exchange = loaded.exchange
    values = dict(zip(_EXCHANGE_FIELDS, _exchange_of(exchange), strict=True))
    values["role"] = exchange.role.value
    for name in ("bytes_in", "bytes_out"):
        # PostgreSQL's integer ends at 2 GiB; a figure that is too low is better than an exchange that is refused.
        values[name] = min(values[name], _LARGEST_INTEGER)
    values.update(zip(_LOADED_FIELDS, _loaded_of(loaded), strict=True), scored=False)
    return storable(values)


def storable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without NUL in its texts: PostgreSQL refuses it, and one such request would stop all recording."""
    # By their own types, which is quick: what is neither a text nor a mapping stays as it is.
    found = [n for n, v in values.items() if (type(v) is str and "\0" in v) or (type(v) is dict and "\\x00" in repr(v))]
    return {**values, **{name: _without_nul(values[name]) for name in found}}


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if "\0" in value else value
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def stored_exchange(row: Row) -> StoredExchange:
    """Return the exchange of a row."""
    exchange = Exchange(**{name: row[name] for name in _EXCHANGE_FIELDS if name != "role"}, role=Role(row["role"]))
    texts = {name: row[name] for name in LoadedExchange.__struct_fields__ if name != "exchange"}
    return StoredExchange(exchange=exchange, seq=row["seq"], **texts)


def unprefixed(row: Row, prefix: str) -> dict[str, Any]:
    """Return one side of a joined row, under its plain column names."""
    return {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}


def route_state(row: Row) -> RouteState:
    """Return the route of a row, with its times."""
    route = msgspec.convert({name: row[name] for name in Route.__struct_fields__}, Route)
    return RouteState(route=route, epoch_started_at=row["epoch_started_at"], stage_started_at=row["stage_started_at"])


def look_of(row: Row) -> Look:
    """Return the look of a row."""
    return msgspec.convert({name: row[name] for name in Look.__struct_fields__}, Look)
