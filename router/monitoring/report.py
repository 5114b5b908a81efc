"""What is sent: a day of an experiment, a golden run, or how an experiment stands; each is one run there. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import msgspec

from experiments.scoring.daily import DailyQuality

_UNUSUAL = re.compile(r"[^\w .-]", re.ASCII)
_LONGEST_NAME = 200


class DayReport(msgspec.Struct, frozen=True, kw_only=True, tag="day"):
    """One day of one experiment in one epoch; the same day has the same name, however often it is sent."""

    experiment: str
    epoch: int
    day: str
    """`2026-03-01`, UTC."""
    figures: dict[str, float]

    @property
    def name(self) -> str:
        """What the run is called: `support/1/2026-03-01`."""
        return f"{self.experiment}/{self.epoch}/{self.day}"

    @property
    def digest(self) -> str:
        """What changes if a figure does."""
        return hashlib.sha256(msgspec.json.encode(self.figures, order="deterministic")).hexdigest()[:16]


class RunReport(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """A golden run, or how an experiment stands in an epoch; one thing has one name, however often it is sent."""

    kind: Literal["golden", "standing"]
    name: str
    """What the run is called: `support/1/golden-2`, or `support/1`."""
    started_at: float
    """Wall-clock time in seconds since the epoch (UTC), as below."""
    ended_at: float | None
    """None while it goes on."""
    tags: dict[str, str]
    words: list[str] = []
    """Tags without a value, for targets that have such: `phase:running`."""
    figures: dict[str, float] = {}
    files: dict[str, str] = {}
    """Name -> content, to be kept as artifacts; no prompt, no answer."""

    @property
    def digest(self) -> str:
        """What changes if anything of it does."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


Report = DayReport | RunReport


def reports(rows: Iterable[DailyQuality]) -> list[DayReport]:
    """Return a report for each experiment, epoch and day among the rows."""
    found: dict[tuple[str, int, str], dict[str, float]] = defaultdict(dict)
    for row in rows:
        figures = found[row.experiment, row.epoch, row.day]
        for figure in ("pairs", "mean", "macro_f1", "win_rate"):
            value = getattr(row, figure)
            if value is not None:
                figures[figure_name(row.metric, row.slice, row.variant, figure)] = float(value)
    return [DayReport(experiment=e, epoch=n, day=day, figures=figures) for (e, n, day), figures in found.items()]


def figure_name(metric: str, slice_: str, variant: str, figure: str) -> str:
    """Name a figure, with the characters that MLflow allows.

    A value of a slice may be anything that a client sends: where it had to be changed, a hash keeps two of them apart.

    >>> figure_name("quality", "", "treatment", "mean"), figure_name("quality", "language=hi", "control", "pairs")
    ('quality/treatment/mean', 'quality/language.hi/control/pairs')
    """
    if not slice_:
        return f"{metric}/{variant}/{figure}"
    attribute, _, value = slice_.partition("=")
    plain = _UNUSUAL.sub("_", f"{attribute}.{value}")[: _LONGEST_NAME - 80]
    if plain != f"{attribute}.{value}":
        plain = f"{plain}-{hashlib.sha256(slice_.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return f"{metric}/{plain}/{variant}/{figure}"
