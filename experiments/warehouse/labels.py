"""From the different texts of `slices` to the slices that are followed, as the ledger names them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from experiments.evaluation.ledger import MAX_SLICE_VALUES
from experiments.warehouse.records import WarehouseError

MOST_TEXTS = 100_000
"""Different texts of `slices`; more are no slices but free text."""
_DECODER = msgspec.json.Decoder(dict[str, str])
Labels = Mapping[str, tuple[str, ...]]
"""Text of `slices` -> the slices (`attribute=value`) that it belongs to."""


def labels(texts: Iterable[tuple[str, int]], attributes: Sequence[str]) -> tuple[Labels, dict[str, list[str]]]:
    """Return to which slices each text belongs, and the values of every attribute that are followed by name.

    Args:
        texts: JSON objects, each with the `seq` of its first outcome: values are followed in order of appearance, at
            most `MAX_SLICE_VALUES`; further ones are `other`.
        attributes: That are followed.

    Raises:
        WarehouseError: A text is no JSON object of texts, or there are too many.

    >>> labels([('{"language": "hi"}', 2), ('{"language": "en", "plan": "free"}', 1)], ["language"])[1]
    {'language': ['en', 'hi']}
    """
    ordered = sorted(texts, key=lambda item: item[1])
    if len(ordered) > MOST_TEXTS:
        raise WarehouseError(
            f"outcomes.slices: there are {len(ordered):,} different texts, and must be at most {MOST_TEXTS:,}"
        )
    values: dict[str, list[str]] = {attribute: [] for attribute in attributes}
    found: dict[str, tuple[str, ...]] = {}
    for text, _ in ordered:
        slices = _decoded(text)
        found[text] = tuple(_label(values[a], a, slices[a]) for a in attributes if slices.get(a) is not None)
    return found, values


def _label(known: list[str], attribute: str, value: str) -> str:
    if value not in known and len(known) < MAX_SLICE_VALUES:
        known.append(value)
    return f"{attribute}={value if value in known else 'other'}"


def _decoded(text: str) -> dict[str, str]:
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise WarehouseError(
            f"outcomes.slices: {text[:60]!r} is there, and must be a JSON object of texts: {error}"
        ) from error
