"""How much alpha a candidate build has used up: a retry is another chance to be promoted by luck.

If every attempt of the same build had the full alpha, a truly bad build would get through in 5, 14, 23, 40 % of cases
with 1, 3, 5, 10 attempts. So attempt j has alpha_j = 6 alpha / (pi^2 j^2): the shares add up to alpha over however many
attempts. What an attempt was given is spent, whatever came of it. One ledger per build and family of decisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.checks import check_count, check_share
from analysis.rendering import Rendered

_SERIES = 6 / math.pi**2
"""1 / (1 + 1/4 + 1/9 + ...)."""


@dataclass(frozen=True, slots=True)
class Attempt(Rendered):
    """One attempt and what it was given."""

    number: int
    """1 for the first."""
    alpha: float
    label: str = ""
    """Where the attempt is found again: an experiment's epoch, say."""


@dataclass(frozen=True, slots=True)
class AlphaLedger:
    """Attempts of one build; a new record each time, never changed."""

    build: str
    """Whatever identifies the candidate: a digest of weights and settings."""
    alpha: float
    """For all attempts together."""
    attempts: tuple[Attempt, ...] = ()

    def __post_init__(self) -> None:
        check_share(self.alpha, "alpha")
        for expected, attempt in enumerate(self.attempts, start=1):
            if attempt.number != expected:
                raise ValueError(
                    f"attempt.number == {attempt.number!r}, must be {expected}: attempts follow each other"
                )
            if not 0 <= attempt.alpha <= attempt_alpha(self.alpha, expected) * (1 + 1e-12):
                largest = attempt_alpha(self.alpha, expected)
                raise ValueError(f"attempt.alpha == {attempt.alpha!r}, must be in [0, {largest!r}]")

    @property
    def spent(self) -> float:
        """Alpha of the attempts so far."""
        return math.fsum(attempt.alpha for attempt in self.attempts)

    @property
    def left(self) -> float:
        """Alpha of all attempts that are still to come; above 0 at any time."""
        return self.alpha - self.spent

    @property
    def next_alpha(self) -> float:
        """Alpha of the next attempt."""
        return attempt_alpha(self.alpha, len(self.attempts) + 1)

    def begin(self, label: str = "") -> AlphaLedger:
        """Return the ledger with one more attempt, whose alpha is spent from now on.

        >>> ledger = AlphaLedger("build-7", 0.025).begin().begin()
        >>> [round(attempt.alpha, 5) for attempt in ledger.attempts], round(ledger.left, 5)
        ([0.0152, 0.0038], 0.006)
        """
        attempt = Attempt(len(self.attempts) + 1, self.next_alpha, label)
        return AlphaLedger(self.build, self.alpha, (*self.attempts, attempt))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, which keeps every bit.

        >>> AlphaLedger("build-7", 0.025).to_dict()
        {'build': 'build-7', 'alpha': 0.025, 'attempts': []}
        """
        attempts = [{"number": a.number, "alpha": a.alpha, "label": a.label} for a in self.attempts]
        return {"build": self.build, "alpha": self.alpha, "attempts": attempts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AlphaLedger:
        """Take what `to_dict` gave.

        Raises:
            ValueError: The attempts do not follow each other, or one has more alpha than it can have had.
        """
        attempts = tuple(Attempt(int(a["number"]), float(a["alpha"]), str(a["label"])) for a in data["attempts"])
        return cls(str(data["build"]), float(data["alpha"]), attempts)


def attempt_alpha(alpha: float, number: int) -> float:
    """Return the alpha of attempt `number`: 6 alpha / (pi^2 number^2).

    Args:
        alpha: For all attempts together.
        number: 1 for the first.

    Raises:
        ValueError: `alpha` is not in (0, 1), or `number` is below 1.

    >>> [round(attempt_alpha(0.025, j), 5) for j in (1, 2, 3)]
    [0.0152, 0.0038, 0.00169]
    """
    check_share(alpha, "alpha")
    check_count(number - 1, "number - 1")
    return _SERIES * alpha / number**2
