"""What changed in an experiment's configuration from one epoch to the next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from experiments.attempts import AA_CANDIDATE
from experiments.stored import Epoch

KEPT_BACK = "[kept back]"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One key whose value is another one."""

    key: str
    """Path as one would write it: `policy.min_days`, `guardrails.quality.margin`."""
    before: str | None
    """JSON; None where the key was not there."""
    after: str | None
    """JSON; None where it is gone."""


class EpochDifferences(msgspec.Struct, frozen=True, kw_only=True):
    """An epoch and what it changed."""

    number: int
    started_at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    attempt: int
    is_aa: bool
    """Whether it is the A/A run before the experiment itself."""
    changes: list[Difference]
    """Against the epoch before; empty for the first."""


def epoch_differences(epochs: Sequence[Epoch]) -> list[EpochDifferences]:
    """Return each epoch with what it changed, in order.

    Args:
        epochs: Of one experiment, in order.
    """
    before: list[Epoch | None] = [None, *epochs]
    return [
        EpochDifferences(
            number=epoch.number,
            started_at=epoch.started_at,
            attempt=epoch.attempt,
            is_aa=epoch.candidate == AA_CANDIDATE,
            changes=differences(previous.config, epoch.config) if previous is not None else [],
        )
        for previous, epoch in zip(before, epochs, strict=False)
    ]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return the keys whose values differ, by path.

    >>> [(d.key, d.before, d.after) for d in differences({"ramp": [5], "salt": "a"}, {"ramp": [5, 50], "salt": "a"})]
    [('ramp.1', None, '50')]
    """
    old, new = dict(_leaves("", before)), dict(_leaves("", after))
    keys = [*old, *(key for key in new if key not in old)]
    found = [
        Difference(key=key, before=old.get(key), after=new.get(key))
        for key in sorted(keys)
        if old.get(key) != new.get(key)
    ]
    return [_without_salt(difference) for difference in found]


def _without_salt(difference: Difference) -> Difference:
    """Keep a salt back: whoever has it can find out under which key a user is stored."""
    if difference.key.rpartition(".")[2] != "salt":
        return difference
    return msgspec.structs.replace(
        difference,
        before=None if difference.before is None else KEPT_BACK,
        after=None if difference.after is None else KEPT_BACK,
    )


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(value):
            yield from _leaves(f"{path}.{_name(index, item)}", item)
    else:
        yield path, msgspec.json.encode(value).decode()


def _name(index: int, item: Any) -> str:
    """Name an item of a list: a metric by its name, so that one put in front does not change all the others."""
    if isinstance(item, Mapping):
        return str(item.get("name") or item.get("attribute") or index)
    return str(index)
