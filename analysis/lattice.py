"""Histograms of scores with very many distinct values, kept small without giving up validity.

The betting e-process multiplies a capital by 1 + bet (m - x) for each difference x. The logarithm of that factor is
concave in x, so moving differences apart within a cell, with their sum unchanged, can only lower the capital (the
inequality of Karamata 1932). All but one of a cell's differences go to the cell's two ends and the last one takes up
the remainder: the mean stays what it was, and the e-value of either side is at most the exact one, so that it is valid
whenever that is. A difference costs about bet^2 / 8 million of the logarithm.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from analysis.eprocess import DifferenceCounts

_STEPS = 1024
"""Cells per unit of a difference; a power of two, so that scaling is exact."""
_MANY = 4 * _STEPS
"""Distinct values up to which a histogram is kept as it is."""


def difference_counts(differences: NDArray[np.float64]) -> tuple[DifferenceCounts, bool]:
    """Return the histogram of differences, and whether it had to be brought onto the lattice.

    Args:
        differences: In [-1, 1], shape (observations,).

    Raises:
        ValueError: A difference is outside of [-1, 1] or not a number.

    >>> difference_counts(np.array([0.0, -1.0, 0.0]))
    (DifferenceCounts(counts=((-1.0, 1), (0.0, 2))), False)
    """
    # The unary plus leaves out what never came.
    counts = +Counter({value: int(np.count_nonzero(differences == value)) for value in (-1.0, 0.0, 1.0)})
    if sum(counts.values()) == len(differences):
        return DifferenceCounts.of_counts(counts), False
    others = differences[(differences != 0) & (np.abs(differences) != 1)]
    lowest, highest = float(others.min()), float(others.max())
    if not (lowest >= -1 and highest <= 1):
        raise ValueError(f"differences == {lowest!r} to {highest!r}, must be in [-1, 1]")
    # A first part tells whether the costly sort of all can be spared.
    if len(np.unique(others[: 4 * _MANY])) <= _MANY:
        values, how_often = np.unique(others, return_counts=True)
        if len(values) <= _MANY:
            counts.update(dict(zip(values.tolist(), how_often.tolist(), strict=True)))
            return DifferenceCounts.of_counts(counts), False
    return DifferenceCounts.of_counts(counts + _on_lattice(others, None)), True


def on_lattice(state: DifferenceCounts) -> DifferenceCounts:
    """Bring a histogram onto the lattice: some 4,000 distinct values at most, the same mean, no larger e-value.

    >>> on_lattice(DifferenceCounts.of([0.0, 0.0002, 0.0003])).counts
    ((0.0, 2), (0.0005, 1))
    """
    values, counts = state.arrays()
    return DifferenceCounts.of_counts(_on_lattice(values, counts))


def _on_lattice(values: NDArray[np.float64], counts: NDArray[np.float64] | None) -> Counter[float]:
    scaled = values * _STEPS
    cell = np.floor(scaled)
    index = cell.astype(np.int64) + _STEPS
    size = 2 * _STEPS + 1
    number = np.bincount(index, counts, size).astype(np.int64)
    # The sum of a cell's differences above its lower end, in cells: so many whole ones go to the upper end.
    above = scaled - cell
    total = np.bincount(index, above if counts is None else counts * above, size)
    upper = np.floor(total)
    rest = total - upper
    points = np.zeros(size + 1, dtype=np.int64)
    points[:-1] = number - upper.astype(np.int64) - (rest > 0)
    points[1:] += upper.astype(np.int64)
    found = Counter({float(i - _STEPS) / _STEPS: int(points[i]) for i in np.flatnonzero(points)})
    found.update(float(i - _STEPS + rest[i]) / _STEPS for i in np.flatnonzero(rest > 0))
    return found
