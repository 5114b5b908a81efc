"""The configuration reference, generated from the records: `python -m experiments.config.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from experiments.config import asking, guarding, notifications, records, serving
from experiments.config.fields import range_in_words

_TABLES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[router]", serving.RouterSettings),
    ("[router.clients]", serving.ClientLimits),
    ("[router.feedback]", serving.FeedbackSettings),
    ("[router.tls] and [router.admin_tls]", serving.Tls),
    ("[router.tracing]", serving.Tracing),
    ("[router.scoring]", serving.Scoring),
    ("[router.monitoring]", serving.Monitoring),
    ("[router.notifications]", notifications.Notifications),
    ("[router.notifications.quiet]", notifications.Quiet),
    ("[router.notifications.channels.NAME]", notifications.Channel),
    ("[backends.NAME]", serving.Backend),
    ("price = { ... } of a backend", serving.Price),
    ("[backends.NAME.power]", serving.Power),
    ("[backends.NAME.health]", serving.Health),
    ("[backends.NAME.ejection]", serving.Ejection),
    ("[backends.NAME.warmup]", serving.Warmup),
    ("[backends.NAME.tls]", serving.BackendTls),
    ("[backends.NAME.spot]", serving.Spot),
    ("[experiments.NAME]", records.Experiment),
    ("match = { ... } of an experiment", records.Match),
    ("cache = { ... } of an experiment", serving.Cache),
    ("[experiments.NAME.guardrails]: NAME = { ... }", records.Guardrail),
    ("judge = { ... } of a metric", asking.Judge),
    ("embeddings = { ... } of a metric", asking.Embeddings),
    ("[experiments.NAME.goals]: NAME = { ... }", records.Goal),
    ("[experiments.NAME.monitors]: NAME = { ... }", records.Monitor),
    ("[experiments.NAME.gate]", guarding.Gate),
    ("[experiments.NAME.trips]", guarding.Trips),
    ("[experiments.NAME.policy]", records.Policy),
)
_HEAD = """# Configuration reference

Generated from the code by `make docs`; a test fails when it is out of date. Unknown keys are errors. Keys of `[router]`
can be overridden by the environment: `TOUCHSTONE_ROUTER_LISTEN`, `TOUCHSTONE_ROUTER_WORKERS`, ... Paths are relative to
the file. `touchstone check --config FILE` finds every error of a file at once.
"""
_SPELLINGS = {
    "urls": 'text `url = "..."`, or list `urls = [...]`',
    "treatment": 'text `treatment = "..."`, or list `treatments = [...]`',
    "unit": '`"header:NAME"`, `"cookie:NAME"`, `"body:path.to.field"` or `"request"`',
    "slices": 'list of `"header:NAME"`, `"cookie:NAME"`, `"body:path.to.field"`, `"language"`, `"script"`, '
    '`"code_switched"` or `"exposed_before"`',
    "ramp": "list of numbers in percent, between 0 and 100",
    "protected_slices": "list of slice attributes",
    "patterns": "list of texts",
    "redact": "list of texts",
    "mirror_slices": 'table of `"attribute=value" = percent`',
    "options": "table",
    "waived_slices": 'list of `"attribute=value"`',
    "headers": "table of texts",
    "better_by": 'text such as `"30%"`, or a number from 0 to 1',
    "price": "table, see below",
    "notifications": "table, see below",
    "quiet": "table, see below",
    "channels": "table of tables, see below",
    **dict.fromkeys(
        ("match", "cache", "clients", "feedback", "tls", "admin_tls", "tracing", "health", "ejection", "warmup"),
        "table, see below",
    ),
    "spot": "table, see below",
    "notice_urls": "list of texts",
    **dict.fromkeys(("scoring", "monitoring", "power", "judge", "embeddings"), "table, see below"),
    **dict.fromkeys(("wandb_folder", "admin_tokens", "certificate", "key", "requests", "ca"), "path"),
    "mirror_exclude": 'list of `"tools"`, `"stateful"`, `"not_idempotent"`, `"header:NAME"`',
    "journal": "path",
}
_DEFAULTS = {"ramp": "`[split_percent]`", "salt": "the experiment's name", "unit": "`request`"}
_TABLE_KEYS = {"guardrails", "goals", "monitors", "gate", "trips", "policy", "name", "cohort"}


def reference() -> str:
    """Return the whole page in Markdown."""
    return _HEAD + "".join(_section(title, record) for title, record in _TABLES)


def _section(title: str, record: type[BaseModel]) -> str:
    described = " ".join((record.__doc__ or "").split())
    rows = "".join(_row(name, field) for name, field in record.model_fields.items() if name not in _TABLE_KEYS)
    return f"\n## `{title}`\n\n{described}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _row(name: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split())
    return f"| `{name}` | {_value(name, field)} | {_default(name, field)} | {meaning} |\n"


def _value(name: str, field: FieldInfo) -> str:
    if "Path" in str(field.annotation):
        return "path"
    if name in _SPELLINGS:
        return _SPELLINGS[name]
    words = " or ".join(_words(field.annotation))
    limits = range_in_words(field)
    return words + (f", {limits}" if limits else "")


def _words(annotation: Any) -> Iterator[str]:
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation in names:
        yield names[annotation]
    elif getattr(annotation, "__origin__", None) is not None and str(annotation).startswith("typing.Literal"):
        yield from (f'`"{word}"`' for word in annotation.__args__)
    else:
        for argument in getattr(annotation, "__args__", ()):
            if argument is not type(None):
                yield from _words(argument)


def _default(name: str, field: FieldInfo) -> str:
    if name in _DEFAULTS:
        return _DEFAULTS[name]
    if field.default is PydanticUndefined:
        return "required"
    if field.default in (None, (), "", {}):
        return "none"
    return f"`{field.default}`".lower() if isinstance(field.default, bool) else f"`{field.default}`"


if __name__ == "__main__":
    print(reference(), end="")
