"""Where in a TOML file a key stands: location -> line. `tomllib` keeps no lines; tree-sitter does."""

from __future__ import annotations

import tomllib

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
        self._last_index: dict[Location, int] = {}
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
        key, *rest = _parts(node)
        prefix = self._header(_key(key), is_array=node.type == "table_array_element")
        self._note(prefix, node)
        self._lines[prefix] = node.start_point[0] + 1  # its own header counts more than an earlier [prefix.child]
        for child in rest:
            self._pair(child, prefix)

    def _header(self, key: Location, *, is_array: bool) -> Location:
        """Return the location of a table; parts that are arrays of tables mean their last element so far."""
        found: Location = ()
        for position, part in enumerate(key, start=1):
            found = (*found, part)
            if is_array and position == len(key):
                self._last_index[found] = self._last_index.get(found, -1) + 1
            if found in self._last_index:
                found = (*found, self._last_index[found])
        return found

    def _pair(self, node: Node, prefix: Location) -> None:
        key, value = _parts(node)
        location = (*prefix, *_key(key))
        self._note(location, node)
        self._value(value, location)

    def _value(self, node: Node, location: Location) -> None:
        if node.type == "inline_table":
            for child in _parts(node):
                self._pair(child, location)
        elif node.type == "array":
            for index, child in enumerate(_parts(node)):
                self._note((*location, index), child)
                self._value(child, (*location, index))

    def _note(self, location: Location, node: Node) -> None:
        for length in range(len(location), 0, -1):
            if location[:length] in self._lines:
                return
            self._lines[location[:length]] = node.start_point[0] + 1


def _parts(node: Node) -> list[Node]:
    """Return the named children without comments: tree-sitter hangs a trailing comment into the pair before it."""
    return [child for child in node.named_children if child.type != "comment"]


def _key(node: Node) -> Location:
    """Return a key's parts; dotted keys lean to the left, and may be longer than Python's stack is deep."""
    parts: list[str] = []
    while node.type == "dotted_key":
        node, last = _parts(node)
        parts.append(_text(last))
    return (_text(node), *reversed(parts))


def _text(node: Node) -> str:
    text = (node.text or b"").decode()
    return next(iter(tomllib.loads(f"{text} = 0"))) if node.type == "quoted_key" else text
