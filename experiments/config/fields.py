"""Which keys a table of the file may have, and within which limits. Messages and the reference share it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from experiments.config import asking, guarding, notifications, records, serving
from experiments.config.lines import Location

METRIC_GROUPS = ("guardrails", "goals", "monitors")
_TOP = ["router", "backends", "experiments"]
_RECORDS: dict[Location, type[BaseModel]] = {
    ("router",): serving.RouterSettings,
    ("router", "clients"): serving.ClientLimits,
    ("router", "feedback"): serving.FeedbackSettings,
    ("router", "tls"): serving.Tls,
    ("router", "admin_tls"): serving.Tls,
    ("router", "tracing"): serving.Tracing,
    ("router", "scoring"): serving.Scoring,
    ("router", "monitoring"): serving.Monitoring,
    ("router", "notifications"): notifications.Notifications,
    ("router", "notifications", "quiet"): notifications.Quiet,
    ("router", "notifications", "channels", "NAME"): notifications.Channel,
    ("backends", "NAME"): serving.Backend,
    ("backends", "NAME", "price"): serving.Price,
    ("backends", "NAME", "power"): serving.Power,
    ("backends", "NAME", "health"): serving.Health,
    ("backends", "NAME", "ejection"): serving.Ejection,
    ("backends", "NAME", "warmup"): serving.Warmup,
    ("backends", "NAME", "tls"): serving.BackendTls,
    ("backends", "NAME", "spot"): serving.Spot,
    ("backends", "NAME", "spot", "price"): serving.Price,
    ("experiments", "NAME"): records.Experiment,
    ("experiments", "NAME", "match"): records.Match,
    ("experiments", "NAME", "cache"): serving.Cache,
    ("experiments", "NAME", "gate"): guarding.Gate,
    ("experiments", "NAME", "trips"): guarding.Trips,
    ("experiments", "NAME", "policy"): records.Policy,
    ("experiments", "NAME", "guardrails", "NAME"): records.Guardrail,
    ("experiments", "NAME", "goals", "NAME"): records.Goal,
    ("experiments", "NAME", "guardrails", "NAME", "judge"): asking.Judge,
    ("experiments", "NAME", "guardrails", "NAME", "embeddings"): asking.Embeddings,
    ("experiments", "NAME", "monitors", "NAME"): records.Monitor,
    ("experiments", "NAME", "monitors", "NAME", "judge"): asking.Judge,
    ("experiments", "NAME", "monitors", "NAME", "embeddings"): asking.Embeddings,
}


def record_at(table: Location) -> type[BaseModel] | None:
    """Return the record that a table of the file becomes; None where the keys are names.

    >>> record_at(("experiments", "a", "goals", "cost")), record_at(("experiments", "a", "goals"))
    (<class 'experiments.config.records.Goal'>, None)
    """
    names = {3} if table[:1] == ("router",) else {1, 3}
    return _RECORDS.get(tuple("NAME" if level in names else part for level, part in enumerate(table)))


def keys_at(table: Location) -> list[str]:
    """Return the keys that may stand in a table of the file."""
    if not table:
        return _TOP
    record = record_at(table)
    if record is None:
        return []
    keys = [name for name in record.model_fields if name != "name"]
    return ["url", *keys] if record is records.Backend else keys


def range_at(location: Location) -> str:
    """Say within which limits the number at a location must be.

    >>> range_at(("experiments", "a", "ramp", 0)), range_at(("router", "workers"))
    ('between 0 and 100', 'between 1 and 64')
    """
    key_at = -2 if isinstance(location[-1], int) else -1
    record = record_at(location[:key_at])
    return range_in_words(record.model_fields[str(location[key_at])]) if record else "within its limits"


def range_in_words(field: FieldInfo) -> str:
    """Say within which limits a number must be; an empty text if there are none.

    >>> range_in_words(records.Experiment.model_fields["split_percent"])
    'between 0 and 100'
    >>> range_in_words(records.Guardrail.model_fields["margin"])
    'above 0 and below 1'
    """
    found = dict(_limits(field.metadata, field.annotation))
    if found.keys() == {"ge", "le"}:
        return f"between {found['ge']:g} and {found['le']:g}"
    words = {"gt": "above {:g}", "ge": "{:g} or more", "lt": "below {:g}", "le": "{:g} or less"}
    return " and ".join(word.format(found[name]) for name, word in words.items() if name in found)


def _limits(metadata: Any, annotation: Any) -> Iterator[tuple[str, float]]:
    """Yield the limits of a field and of what is inside it: `tuple[Percent, ...]`, `Share | None`."""
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from _limits(item.metadata, None)
        yield from ((name, getattr(item, name)) for name in ("gt", "ge", "lt", "le") if hasattr(item, name))
    for argument in get_args(annotation):
        yield from _limits(getattr(argument, "__metadata__", ()), argument)
