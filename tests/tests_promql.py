"""What a PromQL expression asks for, held against what Touchstone exposes: names and labels that exist."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from router.admin.experiment_figures import EXPERIMENT_FAMILIES
from router.admin.store_figures import STORE_FAMILIES
from router.telemetry.metrics import FAMILIES, Family

parser = pytest.importorskip("promql_parser", reason="needs promql-parser")
OF_PROMETHEUS = {"job", "instance"}
"""Labels that every series has from the scrape."""
EXPOSED: dict[str, Family] = {family.name: family for family in (*FAMILIES, *STORE_FAMILIES, *EXPERIMENT_FAMILIES)}
SERIES: dict[str, set[str]] = {"up": OF_PROMETHEUS}
"""Name of a series -> its labels."""
for _family in EXPOSED.values():
    _labels = {*_family.labels, *OF_PROMETHEUS}
    if _family.kind == "histogram":
        SERIES |= {f"{_family.name}_{end}": _labels for end in ("sum", "count")}
        SERIES[f"{_family.name}_bucket"] = _labels | {"le"}
    else:
        SERIES[_family.name] = _labels


def series_of(expression: str) -> set[str]:
    """Return the names of the series that an expression reads."""
    return {node.name for node in _nodes(expression) if isinstance(node, parser.VectorSelector)}


def problems(expression: str) -> list[str]:
    """Return what does not exist: series, labels of theirs that are matched, and labels that are grouped by."""
    found = []
    for node in _nodes(expression):
        if isinstance(node, parser.VectorSelector):
            if node.name not in SERIES:
                found.append(f"no series {node.name}")
                continue
            matched = {matcher.name for matcher in node.matchers.matchers}
            found += [f"{node.name} has no label {label}" for label in sorted(matched - SERIES[node.name])]
        elif isinstance(node, parser.AggregateExpr) and node.modifier is not None:
            found += _grouped(node.prettify(), node.modifier.labels)
        elif isinstance(node, parser.BinaryExpr) and node.modifier is not None and node.modifier.matching is not None:
            for side in (node.lhs, node.rhs):
                found += _grouped(side.prettify(), node.modifier.matching.labels)
    return found


def _grouped(expression: str, labels: list[str]) -> list[str]:
    """Say which of the labels none of the series below has."""
    there = set().union(*(SERIES.get(name, set()) for name in series_of(expression)))
    return [
        f"nothing in {' '.join(expression.split())} has the label {label}" for label in labels if label not in there
    ]


def _nodes(expression: str) -> Iterator[object]:
    seen: list[object] = []

    def note(node: object) -> bool:
        seen.append(node)
        return True

    parser.walk(parser.parse(expression), note)
    yield from seen
