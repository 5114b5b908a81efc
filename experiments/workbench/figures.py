"""The figures of an experiment with Plotly: those of dashboard and report, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.figures import Drawn, Theme
from experiments.evaluation.durations import MEASURES
from experiments.evidence import Evidence, Kind, MetricEvidence
from experiments.showing import drawings
from experiments.showing.reader import SERIES_POINTS, Showing
from experiments.showing.standing import Standing
from experiments.store import Store
from experiments.stored import Epoch
from experiments.workbench.errors import WorkbenchError, unknown
from experiments.workbench.standings import standing_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

_KINDS = {"paired": Kind.PAIRED, "ratio": Kind.RATIO}


class Figures:
    """Draws one epoch of an experiment. Every figure has its alternative text in `layout.meta`.

    Args:
        store: Where its looks are.
        showing: Of the same store.
        epoch: Which one.
    """

    def __init__(self, store: Store, showing: Showing, epoch: Epoch) -> None:
        self._store, self._showing, self._epoch = store, showing, epoch

    def __repr__(self) -> str:
        return f"<Figures of {self._epoch.experiment}, epoch {self._epoch.number}>"

    def forest(self, kind: str = "paired", theme: str = "light") -> go.Figure:
        """Draw all metrics and slices of the newest look with their intervals.

        Args:
            kind: `paired` (quality) or `ratio` (speed and cost).
            theme: `light` or `dark`.

        Raises:
            WorkbenchError: There is no such kind, or no look yet.

        >>> from experiments.workbench import example
        >>> figure = example().experiment("support-int4").figures.forest()
        >>> figure.layout.meta["alt"].split(":")[0]
        'All metrics and groups with their intervals'
        """
        if kind not in _KINDS:
            raise unknown("kind", kind, _KINDS)
        chosen: Any = _KINDS[kind]
        return _plotly(drawings.forest(self._evidence(), chosen), theme)

    def course(self, metric: str, slice: str = "", theme: str = "light") -> go.Figure:  # noqa: A002
        """Draw how a metric went, look by look: its e-values against their thresholds, or its interval.

        Args:
            metric: Which one.
            slice: `attribute=value`; empty for all traffic.
            theme: `light` or `dark`.

        Raises:
            WorkbenchError: The newest look has no such metric in this slice.

        >>> from experiments.workbench import example
        >>> figure = example().experiment("support-int4").figures.course("agreement", "language=hi")
        >>> len(figure.data) > 0
        True
        """
        standing = self._standing()
        row = self._row(self._evidence(), metric, slice)
        happened = drawings.marks(standing.transitions, self._epoch.number)
        series = self._showing.series(self._epoch.experiment, self._epoch.number, SERIES_POINTS)
        return _plotly(drawings.over_time(standing.experiment, series, row, happened), theme)

    def split(self, theme: str = "light") -> go.Figure:
        """Draw the share of the units that the treatment served.

        Args:
            theme: `light` or `dark`.

        Raises:
            WorkbenchError: Nothing has happened yet.

        >>> from experiments.workbench import example
        >>> len(example().experiment("support-int4").figures.split().data) > 0
        True
        """
        standing = self._standing()
        if standing.state is None:
            raise WorkbenchError(f"{self._epoch.experiment}, epoch {self._epoch.number}: nothing has happened yet")
        until_s = standing.look.at if standing.look is not None else standing.state.stage_started_at
        return _plotly(drawings.ramp(standing.transitions, self._epoch.number, until_s), theme)

    def durations(self, measure: str = "latency_ms", theme: str = "light") -> go.Figure:
        """Draw how long answers take, of both variants.

        Args:
            measure: One of `experiments.evaluation.durations.MEASURES`.
            theme: `light` or `dark`.

        Raises:
            WorkbenchError: There is no such measure, or the newest look has nothing of it (that of an export never
                has: an export leaves the state of the statistics out).

        >>> from experiments.workbench import example
        >>> len(example().experiment("support-int4").figures.durations().data) > 0
        True
        """
        if measure not in MEASURES:
            raise unknown("measure", measure, MEASURES)
        standing = self._standing()
        self._evidence()
        drawn = drawings.durations(standing.experiment, standing.look, measure) if standing.look is not None else None
        if drawn is None:
            raise WorkbenchError(f"the newest look of {self._epoch.experiment} has no {measure}; an export never has")
        return _plotly(drawn, theme)

    def _standing(self) -> Standing:
        return standing_of(self._store, self._showing, self._epoch)

    def _evidence(self) -> Evidence:
        evidence = self._standing().evidence
        if evidence is None:
            raise WorkbenchError(f"{self._epoch.experiment}, epoch {self._epoch.number}: no look has been taken yet")
        return evidence

    @staticmethod
    def _row(evidence: Evidence, metric: str, slice_: str) -> MetricEvidence:
        # Of a metric with two kinds, the one that is measured on pairs comes first.
        for kind in (Kind.PAIRED, Kind.RATIO, Kind.EVENT):
            if (row := evidence.of(metric, slice_, kind)) is not None:
                return row
        names = {row.metric for row in evidence.metrics}
        if metric not in names:
            raise unknown("metric", metric, names)
        raise unknown(f"slice of {metric}", slice_, {row.slice for row in evidence.metrics if row.metric == metric})


def _plotly(drawn: Drawn, theme: str) -> go.Figure:
    if theme not in set(Theme):
        raise unknown("theme", theme, set(Theme))
    import plotly.graph_objects as go  # noqa: PLC0415  # takes long to import, and only who draws needs it

    figure = drawn.figure(Theme(theme))
    made = go.Figure(list(figure.data), figure.layout)
    made.update_layout(meta={"alt": drawn.alt_text()})
    return made
