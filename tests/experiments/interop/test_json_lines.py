"""The line of every key and element of a JSON document, whatever it looks like."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.config.lines import Location
from experiments.interop.json_lines import JsonLines

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(['"', "\\", "{", "],", ":\n"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def leaves(node: Any, at: Location = ()) -> list[tuple[Location, Any]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [(at, node)] + [leaf for key, child in children for leaf in leaves(child, (*at, key))]


@settings(max_examples=150, deadline=None)
@given(documents)
def test_a_key_or_element_is_on_the_line_that_begins_with_it(document: Any) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False)
    lines, by_line = JsonLines(text), text.split("\n")

    for at, node in leaves(document):
        begins = by_line[lines.line(at) - 1].strip()
        written = json.dumps(node, indent=1, ensure_ascii=False).split("\n")[0]
        key = f"{json.dumps(at[-1], ensure_ascii=False)}: " if at and isinstance(at[-1], str) else ""
        assert begins.rstrip(",") == (key + written).rstrip(",")
        assert begins.startswith(key)


def test_what_is_not_there_has_the_line_of_its_nearest_ancestor() -> None:
    lines = JsonLines('{\n"features": {\n"a": 1}}')

    assert lines.line(("features", "a", "rules", 3)) == 3
    assert lines.line(("nowhere",)) == 1
