"""Where in a TOML file a key stands: location -> line. `tomllib` keeps no lines; tree-sitter does."""

from __future__ import annotations

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Location = tuple[str | int, ...]


class LineMap:
    r"""Lines of all keys of a TOML document.

    Args:
        text: The document.

    >>> lines = LineMap('[router]\nworkers = 2\n[backends.a]\nprice = { input = 1 }')
    >>> lines.line(("router", "workers")), lines.line(("backends", "a", "price", "input"))
    (2, 4)
    >>> lines.line(("backends", "a", "url"))  # not there: the nearest table that is
    3
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Location, int] = {(): 1}
        tree = Parser(Language(tree_sitter_toml.language())).parse(text.encode())
        for node in tree.root_node.named_children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in {"table", "table_array_element"}:
                self._table(node)

    def line(self, location: Location) -> int:
        """Return the line of a key, or of its nearest ancestor that stands in the file."""
        while location not in self._lines:
            location = location[:-1]
        return self._lines[location]

    def _table(self, node: Node) -> None:
        prefix = _key(node.named_children[0]) if node.named_children else ()
        self._note(prefix, node)
        for child in node.named_children:
            if child.type == "pair":
                self._pair(child, prefix)

    def _pair(self, node: Node, prefix: Location) -> None:
        key, value = node.named_children[0], node.named_children[-1]
        location = (*prefix, *_key(key))
        self._note(location, node)
        self._value(value, location)

    def _value(self, node: Node, location: Location) -> None:
        if node.type == "inline_table":
            for child in node.named_children:
                if child.type == "pair":
                    self._pair(child, location)
        elif node.type == "array":
            items = [child for child in node.named_children if child.type != "comment"]
            for index, child in enumerate(items):
                self._note((*location, index), child)
                self._value(child, (*location, index))

    def _note(self, location: Location, node: Node) -> None:
        for length in range(1, len(location) + 1):
            self._lines.setdefault(location[:length], node.start_point[0] + 1)


def _key(node: Node) -> Location:
    if node.type == "dotted_key":
        return tuple(part for child in node.named_children for part in _key(child))
    text = (node.text or b"").decode()
    return (text[1:-1] if node.type == "quoted_key" else text,)
