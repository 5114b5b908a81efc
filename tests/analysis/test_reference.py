"""Every case of the reference file, through the product's public functions."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("reference", _HERE / "reference.py")
assert _spec is not None
assert _spec.loader is not None
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

CASES = json.loads(Path(os.environ.get("TOUCHSTONE_REFERENCE_CASES", _HERE / "reference_cases.json")).read_text())


def _close(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            _close(*pair, tolerance) for pair in zip(found, expected, strict=True)
        )
    if isinstance(expected, dict):
        return all(_close(found[key], value, tolerance) for key, value in expected.items())
    if isinstance(expected, bool) or expected is None or isinstance(expected, str):
        return found == expected
    return abs(found - expected) <= tolerance


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']}-{case['method']}")
def test_the_published_figure_is_reached(case: dict[str, Any]) -> None:
    found = reference.METHODS[case["method"]](case["inputs"])

    for key, expected in case["expected"].items():
        assert _close(found[key], expected, case["tolerance"]), f"{key}: {found[key]} is not {expected}"


def test_every_method_of_the_file_is_mapped_and_every_mapped_method_has_a_case() -> None:
    known = {case["method"] for case in json.loads((_HERE / "reference_cases.json").read_text())}

    assert set(reference.METHODS) == known
