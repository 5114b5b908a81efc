"""Every key of a TOML document is found at its line, however it is spelled."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.lines import LineMap, Location

DOCUMENT = """\
top = 1  # a comment belongs to no value
[router]
listen = "a:1"

[experiments.support-int4]
"quoted key".'x'.y = 1
ramp = [  # comments between
  1,
  # and here
  10,
]
slices = [
  { a = 1, b = [2,
    3] },
]
[experiments.support-int4.guardrails]
quality = { scorer = "exact", margin = 0.02 }
[[rows]]
a = 1
[[rows]]
b = 2
[rows.inner]
c = 3
[late.child]
x = 1
[late]
"tab\\u0062ed" = 1
"""


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ((), 1),
        (("top",), 1),
        (("router", "listen"), 3),
        (("router", "admin"), 2),
        (("nothing", "at", "all"), 1),
        (("experiments", "support-int4"), 5),
        (("experiments", "support-int4", "quoted key", "x", "y"), 6),
        (("experiments", "support-int4", "ramp", 0), 8),
        (("experiments", "support-int4", "ramp", 1), 10),
        (("experiments", "support-int4", "ramp", 7), 7),
        (("experiments", "support-int4", "slices", 0, "a"), 13),
        (("experiments", "support-int4", "slices", 0, "b", 1), 14),
        (("experiments", "support-int4", "guardrails", "quality", "margin"), 17),
        (("rows", 0, "a"), 19),
        (("rows", 1, "b"), 21),
        (("rows", 1, "inner", "c"), 23),
        (("late", "child", "x"), 25),
        (("late",), 26),
        (("late", "tabbed"), 27),
    ],
)
def test_a_key_has_its_line_and_a_missing_one_that_of_its_nearest_table(location: Location, line: int) -> None:
    assert LineMap(DOCUMENT).line(location) == line


def test_a_key_with_more_parts_than_the_stack_is_deep_has_a_line() -> None:
    key = ".".join("a" * 3000)

    assert LineMap(f"\n{key} = 1").line(("a",) * 3000) == 2


@given(st.dictionaries(st.text(max_size=8), st.lists(st.integers(), max_size=3), max_size=6))
def test_any_key_that_can_be_quoted_is_found(document: dict[str, Any]) -> None:
    quoted = ["".join(f"\\U{ord(character):08x}" for character in key) for key in document]
    text = "\n".join(f'"{key}" = {values}' for key, values in zip(quoted, document.values(), strict=True))

    lines = LineMap(text)

    assert [lines.line((key,)) for key in document] == list(range(1, len(document) + 1))
