"""Rows of the same id, found fast: the groundwork of `analysis.samples`.

Ten million rows are sorted, not hashed in Python: the id and the row's number packed into one integer where they fit,
which keeps the order of rows within an id and is several times faster than a stable sort by id.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Ids = NDArray[Any]
"""Integers or strings, shape (rows,)."""

_BLOCK = 1 << 13
"""Rows of text that are hashed at once: they stay in the processor's cache."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Groups(NamedTuple):
    """Rows brought together by id; within an id, in their first order."""

    order: Ints
    """Row numbers, shape (rows,)."""
    starts: Ints
    """Where each group begins within `order`, shape (groups,)."""

    @property
    def sizes(self) -> Ints:
        """Rows of each group, shape (groups,)."""
        return np.diff(self.starts, append=len(self.order))

    @property
    def first_rows(self) -> Ints:
        """First row of each group, shape (groups,)."""
        return np.asarray(self.order[self.starts])

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return each group's value for each of its rows, in the order of the groups, shape (rows,)."""
        return np.repeat(values, self.sizes)

    def any(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return whether any of a group's rows is marked, for flags in the order of the groups, shape (groups,)."""
        if len(self.starts) == 0:
            return np.zeros(0, dtype=np.bool_)
        return np.asarray(np.logical_or.reduceat(flags, self.starts))

    def keep(self, flags: NDArray[np.bool_]) -> Groups:
        """Return the groups with the marked rows only; a group without one is gone."""
        number = self.spread(np.arange(len(self.starts)))[flags]
        return Groups(self.order[flags], _changes(number))

    def codes(self) -> Ints:
        """Return the number of each row's group, in the rows' own order, shape (rows,)."""
        found = np.empty(len(self.order), dtype=np.int64)
        found[self.order] = self.spread(np.arange(len(self.starts)))
        return found


def group(ids: Ids, name: str = "ids") -> Groups:
    """Bring rows of the same id together; groups come in no particular order.

    Raises:
        ValueError: `ids` is not one row of integers or strings.

    >>> found = group(np.array([7, 3, 7]))
    >>> found.order.tolist(), found.starts.tolist()
    ([1, 0, 2], [0, 1])
    """
    array = np.asarray(ids)
    if array.ndim != 1:
        raise ValueError(f"{name}.shape == {array.shape!r}, must be (requests,)")
    if array.dtype.kind in "iub":
        return _group_integers(array)
    if array.dtype.kind in "OT":
        array = _as_text(array, name)
    if array.dtype.kind in "US":
        return _group_text(array)
    raise ValueError(f"{name}.dtype == {array.dtype.name!r}, must be integers or strings")


def group_pairs(first: Groups, second: Groups) -> Groups:
    """Bring rows together that share both ids."""
    return _group_integers(first.codes() * max(1, len(second.starts)) + second.codes())


def labelled_groups(ids: Ids, name: str = "ids") -> tuple[Groups, tuple[str, ...]]:
    """Bring rows of the same id together, ids in rising order, and return the ids as text.

    >>> groups, labels = labelled_groups(np.array(["b", "a", "b"]))
    >>> groups.order.tolist(), groups.starts.tolist(), labels
    ([1, 0, 2], [0, 1], ('a', 'b'))
    """
    groups = group(ids, name)
    found = ids[groups.first_rows]
    if found.dtype.kind not in "iub":
        # Text comes in the order of its hashes.
        ranking = np.argsort(found)
        parts = np.split(groups.order, groups.starts[1:])
        order = np.concatenate([np.zeros(0, dtype=np.int64), *(parts[i] for i in ranking)])
        sizes = groups.sizes[ranking]
        groups, found = Groups(order, np.cumsum(sizes) - sizes), found[ranking]
    return groups, tuple(_label(item) for item in found.tolist())


def _label(item: object) -> str:
    return item.decode() if isinstance(item, bytes) else str(item)


def _as_text(array: Ids, name: str) -> Ids:
    if not all(isinstance(item, str) for item in array):
        raise ValueError(f"{name} holds objects of other types, must be integers or strings")
    return array.astype(np.str_)


def _group_integers(ids: Ids) -> Groups:
    n = len(ids)
    if n == 0:
        return Groups(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    if ids.dtype.kind == "b":
        ids = ids.astype(np.int8)
    low, high = int(ids.min()), int(ids.max())
    if high - low < 1 << 16:
        # A radix sort, and groups that are counted rather than searched for.
        codes = (ids - ids.min()).astype(np.uint16)
        sizes = np.bincount(codes)
        sizes = sizes[sizes > 0]
        return Groups(np.argsort(codes, kind="stable"), np.cumsum(sizes) - sizes)
    bits = n.bit_length()
    if (high - low) >> (63 - bits):
        order = np.argsort(ids, kind="stable")
        return Groups(order, _changes(ids[order]))
    # The smallest id is subtracted as an int64 that may wrap around: the difference is right all the same.
    keys = ids.astype(np.int64) - np.int64(low if low < 1 << 63 else low - (1 << 64))
    keys <<= bits
    keys |= np.arange(n)
    keys.sort()
    order = keys & ((1 << bits) - 1)
    keys >>= bits
    return Groups(order, _changes(keys))


def _group_text(ids: Ids) -> Groups:
    n = len(ids)
    words = _words(ids)
    keys = np.zeros(n, dtype=np.uint64)
    for start in range(0, n, _BLOCK):
        part = keys[start : start + _BLOCK]
        for column in words[start : start + _BLOCK].T:
            part ^= column
            part *= _MULTIPLIER
            part ^= part >> _SHIFT
    # The hash's upper bits and the row's number in one key; what a hash of 40 bits mixes up is put right below.
    bits = np.uint64(n.bit_length())
    keys >>= bits
    keys <<= bits
    keys |= np.arange(n, dtype=np.uint64)
    keys.sort()
    order = (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    keys >>= bits
    return _unmixed(ids, Groups(order, _changes(keys)), words)


def _words(ids: Ids) -> NDArray[np.uint64]:
    """Return the text as rows of 8-byte words, padded with zeros."""
    n = len(ids)
    unit = np.dtype(np.uint32 if ids.dtype.kind == "U" else np.uint8)
    width = ids.dtype.itemsize // unit.itemsize
    if width == 0 or n == 0:
        return np.zeros((n, 1), dtype=np.uint64)
    points = np.ascontiguousarray(ids).view(unit).reshape(n, width)
    # One byte a character is enough for nearly all ids, and a quarter of the work.
    narrow = np.dtype(np.uint8) if points.max() < 256 else unit
    per_word = 8 // narrow.itemsize
    padded = np.zeros((n, -(-width // per_word) * per_word), dtype=narrow)
    padded[:, :width] = points
    return padded.view(np.uint64)


def _unmixed(ids: Ids, groups: Groups, words: NDArray[np.uint64]) -> Groups:
    """Split groups that hold several texts with the same hash."""
    mixed = np.unique(np.searchsorted(groups.starts, _unlike_before(words, groups), side="right") - 1)
    if len(mixed) == 0:
        return groups
    sizes = groups.sizes[mixed]
    number = np.repeat(mixed, sizes)
    places = np.arange(len(number)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + groups.starts[number]
    rows = groups.order[places]
    text = np.unique(ids[rows], return_inverse=True)[1]
    sorting = np.lexsort((rows, text, number))
    groups.order[places] = rows[sorting]
    begins = np.zeros(len(groups.order), dtype=np.bool_)
    begins[groups.starts] = True
    begins[places] = np.diff(number, prepend=-1) != 0
    begins[places[1:]] |= text[sorting][1:] != text[sorting][:-1]
    return Groups(groups.order, np.flatnonzero(begins))


def _unlike_before(words: NDArray[np.uint64], groups: Groups) -> Ints:
    """Return the places within the order at which a group goes on with another text."""
    goes_on = np.ones(len(groups.order), dtype=np.bool_)
    goes_on[groups.starts] = False
    found = []
    before = words[groups.order[:1]]
    for start in range(0, len(groups.order), _BLOCK):
        rows = words[groups.order[start : start + _BLOCK]]
        previous = np.concatenate([before, rows[:-1]])
        unlike = (rows != previous).any(axis=1) & goes_on[start : start + _BLOCK]
        found.append(np.flatnonzero(unlike) + start)
        before = rows[-1:]
    return np.concatenate([*found, np.zeros(0, dtype=np.int64)])


def _changes(ordered: NDArray[Any]) -> Ints:
    """Return where a sorted array takes a new value, the first place included."""
    changed = np.empty(len(ordered), dtype=np.bool_)
    changed[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=changed[1:])
    return np.flatnonzero(changed)
