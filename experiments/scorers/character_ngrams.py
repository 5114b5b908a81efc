"""chrF by array operations: runs of one to six characters, counted for several texts against one reference. Pure.

The formula is sacreBLEU's sentence chrF (character order 6, beta 2, white space left out, orders that one of the texts
is too short for left out of the mean); a test holds it against that library for any two texts. The library itself
counts in Python, two to three times slower: with it, one core judges fewer pairs than it has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

ORDERS = 6
_BETA_SQUARED = 4.0


def chrf(texts: Sequence[str], reference: str) -> list[float]:
    """Return the chrF of each text in 0..1; the share of the reference that is found weighs four times as much.

    >>> chrf(["abcd", "abce", "xyz"], "abcd")
    [1.0, 0.4791666666666667, 0.0]
    """
    bare = ["".join(text.split()) for text in (reference, *texts)]
    lengths = [len(text) for text in bare]
    precision, recall, orders = [0.0] * len(texts), [0.0] * len(texts), [0] * len(texts)
    for order, shared in enumerate(_shared(bare, lengths), start=1):
        wanted = lengths[0] - order + 1
        for number, found in enumerate(shared):
            said = lengths[number + 1] - order + 1
            if said > 0 and wanted > 0:
                precision[number] += found / said
                recall[number] += found / wanted
                orders[number] += 1
    return [_f_score(*sums) for sums in zip(precision, recall, orders, strict=True)]


def _shared(bare: Sequence[str], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield, for each order, how many runs each text shares with the first one."""
    codes = np.frombuffer("".join(bare).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    letters, letter_ids = _numbered(codes)
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    kinds, ids = letters, letter_ids
    for order in range(1, min(ORDERS, len(codes)) + 1):
        if order > 1:
            # A run is the run without its last character, and that character. Runs across two texts are not counted.
            kinds, ids = _numbered(ids[:-1] * letters + letter_ids[order - 1 :])
        first, *others = (
            np.bincount(ids[start : start + max(0, length - order + 1)], minlength=kinds)
            for start, length in zip(starts, lengths, strict=True)
        )
        yield [int(np.minimum(first, other).sum()) for other in others]


def _numbered(values: NDArray[np.integer]) -> tuple[int, NDArray[np.int64]]:
    """Number equal values alike: how many kinds there are, and the kind of each."""
    found, numbers = np.unique(values, return_inverse=True)
    return len(found), numbers


def _f_score(precision: float, recall: float, orders: int) -> float:
    if not precision + recall:
        return 0.0
    precision, recall = precision / orders, recall / orders
    score = (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)
    return min(1.0, score)  # rounding may end a hair above
