"""One epoch of one experiment, open for reading: its rows, its looks, what was concluded, and all of it once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.exc import DatabaseError

from experiments.config.records import Experiment, Guardrail, Monitor
from experiments.evidence import Evidence
from experiments.explain import action_word, sentence
from experiments.looks import each_look
from experiments.model import Role
from experiments.replay import replay
from experiments.retention.dropped import DroppedError, check_whole
from experiments.scorers.base import Scorer
from experiments.showing.reader import Showing, experiment_of
from experiments.showing.summary import summarise
from experiments.store import Store
from experiments.stored import Epoch, Look
from experiments.tables import EXCHANGE, FEEDBACK
from experiments.workbench import queries
from experiments.workbench.errors import WorkbenchError, unknown
from experiments.workbench.figures import Figures
from experiments.workbench.queries import Chosen
from experiments.workbench.rescored import Rescored
from experiments.workbench.rows import Column, InMemory, Rows, Table
from experiments.workbench.sayings import Decided, VerdictSaid, evidence_table
from experiments.workbench.standings import standing_of
from experiments.workbench.units import COLUMNS as UNIT_COLUMNS
from experiments.workbench.units import observations

if TYPE_CHECKING:
    from experiments.workbench.exported import ExportedRows

_LOOK_COLUMNS = (
    Column("number", "integer", "Number of the look within its epoch.", "count from 1"),
    Column("at", "number", "When the controller looked.", "s since 1970-01-01 (UTC)"),
    Column("stage", "integer", "Stage of the ramp at that time.", "count from 0"),
    Column("split_percent", "number", "Share of the units that the treatment served when the look was taken.", "%"),
    Column("action", "text", "What was decided."),
    Column("units", "integer", "Units analysed so far.", "count"),
    Column("sentence", "text", "The decision and its first reason, in words."),
)


class Recomputed(NamedTuple):
    """A look, what its rows say now, and whether that is what was stored."""

    look: Look
    evidence: Evidence
    agrees: bool
    """To the last bit, and with the same decision."""


class OpenExperiment:
    """One epoch of an experiment.

    Args:
        store: Whose connections cannot write.
        showing: Of the same store.
        epoch: Which one.
        exported: What puts the rows in, where the store is made from an export.

    >>> from experiments.workbench import example
    >>> example().experiment("support-int4")
    <OpenExperiment support-int4, epoch 1: simulated-int4 against simulated-bf16>
    """

    def __init__(self, store: Store, showing: Showing, epoch: Epoch, exported: ExportedRows | None = None) -> None:
        self._store, self._showing, self._epoch, self._exported = store, showing, epoch, exported
        self.name = epoch.experiment
        self.epoch = epoch.number
        self.config: Experiment = experiment_of(epoch)
        """Its configuration in this epoch: a frozen record."""

    def __repr__(self) -> str:
        config = self.config
        return f"<OpenExperiment {self.name}, epoch {self.epoch}: {config.treatment} against {config.control}>"

    # --- rows ---------------------------------------------------------------------------------------------------------

    def exchanges(self, role: str | None = None, slice: str | None = None) -> Rows:  # noqa: A002  # the word of the trade
        """Return the requests and answers, as `touchstone export --texts` has them.

        Args:
            role: `live` (the user got the answer), `shadow` (a mirrored copy), `golden` or `warmup`; all unless given.
            slice: `attribute=value`; all traffic unless given.

        Raises:
            WorkbenchError: There is no such role or slice.

        >>> from experiments.workbench import example
        >>> e = example().experiment("support-int4")
        >>> len(e.exchanges("live")) == len(e.exchanges("shadow"))
        True
        """
        if role is not None and role not in set(Role):
            raise unknown("role", role, set(Role))
        chosen = self._chosen(None, slice)
        statement = queries.exchanges(chosen, role)
        name = f"exchanges of {self._named(slice)}"
        return self._rows(
            name, queries.EXCHANGE_COLUMNS, queries.pages(self._engine, statement, EXCHANGE.c.seq), statement
        )

    def pairs(
        self,
        metric: str | None = None,
        slice: str | None = None,  # noqa: A002
        *,
        texts: bool = False,
    ) -> Rows:
        """Return the newest score of every pair and metric; where there is a `failure`, values are null.

        Args:
            metric: One metric; all of them unless given.
            slice: `attribute=value`; all traffic unless given.
            texts: With prompt and both answers.

        Raises:
            WorkbenchError: There is no such metric or slice, or the export has no texts.

        >>> from experiments.workbench import example
        >>> pairs = example().experiment("support-int4").pairs("agreement", slice="language=hi")
        >>> {row["slices"]["language"] for row in pairs}
        {'hi'}
        """
        if texts and self._exported is not None and not self._exported.has_texts:
            raise WorkbenchError("the export has no texts: touchstone export --texts")
        chosen = self._chosen(metric, slice)
        columns = queries.PAIR_COLUMNS_WITH_TEXTS if texts else queries.PAIR_COLUMNS
        pages = queries.pair_pages(self._engine, chosen, texts=texts)
        name = f"pairs of {self._named(slice)}{f', {metric}' if metric else ''}"
        return self._rows(name, columns, pages, queries.outcomes(chosen))

    def units(self, metric: str, slice: str | None = None) -> Rows:  # noqa: A002
        """Return one observation a unit, exactly those that the newest look used: users are randomised, not requests.

        The rows of all looks are folded once more, and one observation a unit is held in memory.

        Args:
            metric: One that is measured on pairs.
            slice: `attribute=value`; all traffic unless given.

        Raises:
            WorkbenchError: There is no such metric or slice, or rows were dropped.

        >>> from experiments.workbench import example
        >>> e = example().experiment("support-int4")
        >>> units = e.units("agreement").to_pandas()
        >>> seen = e.look().evidence.of("agreement")
        >>> len(units) == seen.units, bool(abs(units["value"].mean() - seen.estimate) < 1e-12)
        (True, True)
        """
        self._check_whole()
        if slice != "" and slice is not None and slice.endswith("=other") and slice in self._seen_slices():
            self._chosen(metric, None)  # all rare values of an attribute together: the ledger's own slice
        else:
            self._chosen(metric, slice)
        found = observations(self._store, self.config, self.epoch, metric, slice or "")
        return InMemory(f"units of {self._named(slice)}, {metric}", UNIT_COLUMNS, found)

    def feedback(self, metric: str | None = None) -> Rows:
        """Return what was reported on live answers; of one exchange, metric and source the newest row counts.

        Args:
            metric: One metric; all of them unless given.

        Raises:
            WorkbenchError: There is no such feedback metric.

        >>> from experiments.workbench import example
        >>> feedback = example().experiment("support-int4").feedback("complaint")
        >>> feedback.columns
        ('exchange', 'metric', 'source', 'value', 'at', 'unit', 'stage', 'assigned')
        """
        known = self._metrics(feedback=True)
        self._load()
        statement = queries.feedback(Chosen(self.name, self.epoch, metric))
        if metric is not None and metric not in known and not queries.any_row(self._engine, statement):
            raise unknown("feedback metric", metric, known)
        pages = queries.pages(self._engine, statement, FEEDBACK.c.seq)
        return self._rows(f"feedback on {self._named(None)}", queries.FEEDBACK_COLUMNS, pages, statement)

    # --- looks --------------------------------------------------------------------------------------------------------

    def looks(self) -> Rows:
        """Return every look of the controller, a row each.

        >>> from experiments.workbench import example
        >>> looks = example().experiment("support-int4").looks()
        >>> [row["action"] for row in looks][-1], next(iter(looks))["number"]
        ('promote', 1)
        """
        splits = self._splits()
        rows = []
        for look in each_look(self._store.engine, self.name, self.epoch):
            decision = look.decision
            why = f": {sentence(decision.reasons[0])}" if decision.reasons else ""
            said = f"{action_word(decision.action)}{why}"
            split = splits(look)
            rows.append((look.number, look.at, look.stage, split, decision.action.value, look.evidence.units, said))
        return InMemory(f"looks of {self._named(None)}", _LOOK_COLUMNS, rows)

    def look(self, number: int | None = None) -> Look:
        """Return one look as it is stored: evidence, decision, how far it had read.

        Args:
            number: The newest unless given.

        Raises:
            WorkbenchError: There is no such look.

        >>> from experiments.workbench import example
        >>> example().experiment("support-int4").look(99)
        Traceback (most recent call last):
        ...
        experiments.workbench.errors.WorkbenchError: support-int4, epoch 1, has no look 99; the newest is 6
        """
        newest = self._store.latest_look(self.name, self.epoch)
        if newest is None:
            raise WorkbenchError(f"{self._named(None)}: no look has been taken yet")
        if number is None or number == newest.number:
            return newest
        found = next(each_look(self._store.engine, self.name, self.epoch, after=number - 1), None)
        if found is None or found.number != number:
            raise WorkbenchError(f"{self._named(None)}, has no look {number}; the newest is {newest.number}")
        return found

    def evidence(self, look: int | None = None) -> Table:
        """Return what a look saw: a row for each metric, slice and kind, with e-values in natural units.

        Args:
            look: Its number; the newest unless given.

        Raises:
            WorkbenchError: There is no such look.

        >>> from experiments.workbench import example
        >>> rows = list(example().experiment("support-int4").evidence())
        >>> [row["slice"] for row in rows if row["metric"] == "agreement"]
        ['', 'language=hi', 'language=en']
        """
        return evidence_table(self.look(look).evidence)

    def decision(self, look: int | None = None) -> Decided:
        """Return what a look decided, with its reasons in plain words.

        Args:
            look: Its number; the newest unless given.

        Raises:
            WorkbenchError: There is no such look.

        >>> from experiments.workbench import example
        >>> example().experiment("support-int4").decision().action
        'promote'
        """
        found = self.look(look)
        return Decided.of(found.number, found.decision)

    def verdict(self) -> VerdictSaid:
        """Return how it stands, as `touchstone status` and `touchstone report` say it; an earlier epoch, at its end.

        >>> from experiments.workbench import example
        >>> example().experiment("support-int4").verdict().phase
        'promoted'
        """
        return VerdictSaid.of(summarise(standing_of(self._store, self._showing, self._epoch)))

    def replay(self, until: int | None = None) -> Iterator[Recomputed]:
        """Yield every look, recomputed from the stored rows as `touchstone replay` does.

        Args:
            until: Number of the last look to recompute; all of them unless given.

        Raises:
            WorkbenchError: Rows of the epoch were dropped.

        >>> from experiments.workbench import example
        >>> all(agrees for _, _, agrees in example().experiment("support-int4").replay(until=3))
        True
        """
        self._check_whole()
        for found in replay(self._store, self.config, self.epoch):
            if until is not None and found.stored.number > until:
                return
            yield Recomputed(found.stored, found.evidence, found.same)

    @property
    def figures(self) -> Figures:
        """Return what draws it, with Plotly: the figures of dashboard and report.

        >>> from experiments.workbench import example
        >>> type(example().experiment("support-int4").figures.forest()).__name__
        'Figure'
        """
        return Figures(self._store, self._showing, self._epoch)

    # --- anew ---------------------------------------------------------------------------------------------------------

    def rescore(self, scorer: str | Scorer, metric: str | None = None, slice: str | None = None) -> Rows:  # noqa: A002
        """Score stored pairs by another scorer, **in memory**; `touchstone rescore` is what writes.

        Args:
            scorer: The name of one, or an object with `version` and `score`, as docs/scorers.md describes it.
            metric: Whose keys, references and labels it gets, and beside whose stored value its own is put; none unless
                given.
            slice: `attribute=value`; all traffic unless given.

        Raises:
            WorkbenchError: There is no such scorer, metric or slice, it asks another server, or there are no texts.

        >>> from experiments.workbench import example
        >>> rows = example().experiment("support-int4").rescore("rouge_l", "agreement")
        >>> row = next(iter(rows))
        >>> row["scorer"], row["value"], row["stored_value"]
        ('rouge_l/1', 0.0, 0.0)
        """
        if self._exported is not None and not self._exported.has_texts:
            raise WorkbenchError("the export has no texts: touchstone export --texts")
        chosen = self._chosen(metric, slice)
        return Rescored.of(self._store, self.config, chosen, scorer).rows(f"rescored pairs of {self._named(slice)}")

    # --- helpers ------------------------------------------------------------------------------------------------------

    @property
    def _engine(self) -> Any:
        return self._store.engine

    def _load(self) -> None:
        if self._exported is not None:
            self._exported.load()

    def _rows(self, name: str, columns: Any, pages: Any, statement: Any) -> Rows:
        return Rows(name, columns, pages, lambda: queries.count(self._engine, statement))

    def _named(self, slice_: str | None) -> str:
        return f"{self.name}, epoch {self.epoch}{f', {slice_}' if slice_ else ''}"

    def _chosen(self, metric: str | None, slice_: str | None) -> Chosen:
        """Return what was asked for, once it is known that there is such a thing.

        Raises:
            WorkbenchError: There is not.
        """
        self._load()
        chosen = Chosen(self.name, self.epoch, metric, slice_ or "")
        if slice_:
            queries.slice_of(slice_)
        try:
            if queries.any_row(self._engine, queries.outcomes(chosen) if metric else queries.mirrored(chosen)):
                return chosen
        except DatabaseError as error:
            raise WorkbenchError(f"{self._named(None)}: cannot be read: {error.orig}") from error
        everywhere = chosen._replace(slice="")
        if metric is not None and not queries.any_row(self._engine, queries.outcomes(everywhere)):
            self._check_metric(everywhere, metric)
        anything = chosen._replace(metric=None)
        if slice_ and not queries.any_row(self._engine, queries.exchanges(anything, None)):
            raise unknown("slice", slice_, self._seen_slices())
        return chosen

    def _check_metric(self, chosen: Chosen, metric: str) -> None:
        if metric in self._metrics(feedback=True):
            raise WorkbenchError(f"{metric} is feedback, and no metric of pairs: feedback({metric!r}) has it")
        known = self._metrics(feedback=False) | set(queries.metrics(self._engine, chosen._replace(metric=None)))
        if metric not in known:
            raise unknown("metric", metric, known)

    def _metrics(self, *, feedback: bool) -> set[str]:
        metrics: list[Guardrail | Monitor] = [*self.config.guardrails, *self.config.monitors]
        return {metric.name for metric in metrics if metric.feedback is feedback}

    def _seen_slices(self) -> list[str]:
        newest = self._store.latest_look(self.name, self.epoch)
        return sorted({row.slice for row in newest.evidence.metrics if row.slice}) if newest is not None else []

    def _check_whole(self) -> None:
        self._load()
        try:
            check_whole(self._engine, self.name, self.epoch)
        except DroppedError as error:
            raise WorkbenchError(str(error)) from error

    def _splits(self) -> Any:
        """Return what says which split held when a look was taken: that of the last transition before it."""
        mine = [t for t in self._store.transitions(self.name) if t.epoch == self.epoch]

        def split(look: Look) -> float:
            # A look's own transition comes after it.
            before = [t for t in mine if t.at <= look.at and (t.look is None or t.look < look.number)]
            return before[-1].split_basis_points / 100 if before else 0.0

        return split
