"""Macro-averaged F1 of labels: the mean of the classes' F1, each class counting alike however frequent it is. Pure.

F1 of a class is 2 tp / (2 tp + fp + fn). The mean of these is what scikit-learn calls `average="macro"`, and the one of
two averages of that name that Opitz and Burst recommend (arXiv:1911.03347).
"""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_CLASSES = 1_000
"""Labels that are followed one by one; further ones are one class together."""
OTHER = "(other labels)"


@dataclass
class LabelCounts:
    """What was expected and what was answered, as far as F1 needs it."""

    _classes: dict[str, list[int]] = field(default_factory=dict)
    """Label -> true positives, and how often it was expected or answered: the denominator 2 tp + fp + fn."""

    def add(self, expected: str, answered: str | None, count: int = 1) -> None:
        """Count answers.

        Args:
            expected: The right label.
            answered: None if there was no label in the answer: a miss of the right class, and a class of its own it is
                not.
            count: How many answers were so.
        """
        right = self._of(expected)
        right[1] += count
        if answered is None:
            return
        given = self._of(answered)
        given[1] += count
        if answered == expected:
            right[0] += count

    def macro_f1(self) -> float | None:
        """Return the mean F1 of the classes that were expected or answered; None if there are none.

        A class of which neither was seen is left out: it has no F1.
        """
        if not self._classes:
            return None
        return sum(2 * hits / seen for hits, seen in self._classes.values()) / len(self._classes)

    def _of(self, label: str) -> list[int]:
        if label not in self._classes and len(self._classes) >= MOST_CLASSES:
            label = OTHER
        return self._classes.setdefault(label, [0, 0])
