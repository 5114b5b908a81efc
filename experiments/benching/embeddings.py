"""Two variants' embeddings of the same items: how alike they are, and which label each stands nearest to. Pure.

The texts behind the prototypes are embedded by control only. That is how embeddings are replaced in practice: an index
that the original filled is asked with the vectors of the cheaper model. What the treatment would do with an index of
its own is another question.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from experiments.benching.samples import Samples

Vector = Sequence[float]


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """Cosine similarity of the two variants' vectors of one item, over the items that both answered."""

    n: int
    mean: float
    least: float
    least_id: str
    """The item whose vectors differ most."""


def likeness(control: Samples, treatment: Samples) -> Likeness | None:
    """Return how alike the vectors are; None if no item has two that can be compared.

    >>> from experiments.benching.samples import Sample
    >>> likeness({"a": Sample(vector=(1.0, 0.0))}, {"a": Sample(vector=(1.0, 1.0))}).mean
    0.7071067811865475
    """
    found = {name: cosine(*pair) for name in control if (pair := _both(control, treatment, name)) is not None}
    if not found:
        return None
    least = min(found, key=found.__getitem__)
    return Likeness(n=len(found), mean=sum(found.values()) / len(found), least=found[least], least_id=least)


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of the angle between two vectors; 0 if one of them has no length.

    Raises:
        ValueError: They have not the same number of dimensions.
    """
    if len(one) != len(other):
        raise ValueError(f"vectors of {len(one)} and {len(other)} dimensions")
    a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length else 0.0


class Prototypes:
    """A prototype for each label, the mean direction of its examples; a vector's label is that of the nearest one.

    Nearest is the greatest cosine. Means, because a single example is as good as its wording.

    Args:
        labels: One of each example.
        vectors: The examples', all of the same number of dimensions.

    Raises:
        ValueError: There is none, or their numbers differ.

    Source:
        Snell, Swersky & Zemel 2017, "Prototypical networks for few-shot learning", with the cosine as the distance.
    """

    def __init__(self, labels: Sequence[str], vectors: Sequence[Vector]) -> None:
        if not labels or len(labels) != len(vectors):
            raise ValueError(f"{len(labels)} labels and {len(vectors)} vectors, must be as many, and at least one")
        if len({len(vector) for vector in vectors}) != 1:
            raise ValueError("examples of several numbers of dimensions")
        unit = _normalised(np.asarray(vectors, dtype=float))
        self._labels = list(dict.fromkeys(labels))
        given = np.array([self._labels.index(label) for label in labels])
        means = [unit[given == number].mean(axis=0) for number in range(len(self._labels))]
        self._unit = _normalised(np.asarray(means))

    def __repr__(self) -> str:
        return f"<Prototypes of {len(self._labels)} labels>"

    def nearest(self, vector: Vector) -> str | None:
        """Return the label of the nearest prototype; None for a vector of another number of dimensions.

        >>> Prototypes(["refund", "invoice"], [(1, 0), (0, 1)]).nearest((3, 1))
        'refund'
        """
        if len(vector) != self._unit.shape[1]:
            return None
        return self._labels[int(np.argmax(self._unit @ np.asarray(vector, dtype=float)))]


def _both(control: Samples, treatment: Samples, name: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    one, other = control[name].vector, treatment[name].vector if name in treatment else None
    return (one, other) if one and other and len(one) == len(other) else None


def _normalised(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.where(lengths > 0, lengths, 1.0)
    return unit
