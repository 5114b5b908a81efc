"""A store that is open for reading: which experiments there are, and each of them."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from experiments.config import Config
from experiments.showing.reader import Showing
from experiments.showing.summary import summarise
from experiments.store import Store
from experiments.workbench.errors import WorkbenchError, unknown
from experiments.workbench.experiment import OpenExperiment
from experiments.workbench.rows import Column, Table

if TYPE_CHECKING:
    from experiments.workbench.exported import ExportedRows

_COLUMNS = (
    Column("name", "text", "Name of the experiment."),
    Column("phase", "text", "Where it is in its life."),
    Column("epoch", "integer", "Number of the newest epoch; 0 before the first.", "count from 1"),
    Column("stage", "integer", "Stage of the ramp.", "count from 1"),
    Column("split_percent", "number", "Share of the units that the treatment serves.", "%"),
    Column("pairs", "integer", "Pairs that the newest look had compared.", "count"),
    Column("verdict", "text", "In one sentence."),
)


class OpenStore:
    """A store, open for reading. Close it, or use it in a `with` statement.

    Args:
        store: Of the newest schema; its connections cannot write.
        config: Names the experiments; those that are only in the store are added.
        shown: What to call it.
        exported: What puts the rows in, where the store is made from an export.

    >>> from experiments.workbench import example
    >>> store = example()
    >>> store.experiments().columns
    ('name', 'phase', 'epoch', 'stage', 'split_percent', 'pairs', 'verdict')
    """

    def __init__(self, store: Store, config: Config, shown: str, exported: ExportedRows | None = None) -> None:
        from experiments.workbench.opening import stored_config  # noqa: PLC0415  # which opens this

        self._store, self._shown, self._exported = store, shown, exported
        self.config = config.model_copy(
            update={"experiments": stored_config(store.engine).experiments | config.experiments}
        )
        """As in the file that was opened, if it was one, with the experiments that are only in the store."""
        self._showing = Showing(store, self.config)

    def __repr__(self) -> str:
        return f"<OpenStore of {self._shown}: {', '.join(self.config.experiments) or 'no experiment'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._store.close()

    def experiments(self) -> Table:
        """Return how every experiment stands, a row each.

        >>> from experiments.workbench import example
        >>> [(row["name"], row["phase"]) for row in example().experiments()]
        [('support-int4', 'promoted')]
        """
        found = [summarise(standing) for standing in self._showing.standings()]
        rows = [(s.name, s.phase.value, s.epoch, s.stage, s.split_percent, s.pairs, s.verdict) for s in found]
        return Table("experiments", _COLUMNS, rows)

    def experiment(self, name: str, epoch: int | None = None) -> OpenExperiment:
        """Return one experiment.

        Args:
            name: Its name.
            epoch: The newest unless given.

        Raises:
            WorkbenchError: There is no experiment of this name, it has not begun, or it has no such epoch.

        >>> from experiments.workbench import example
        >>> example().experiment("suport-int4")
        Traceback (most recent call last):
        ...
        experiments.workbench.errors.WorkbenchError: no experiment 'suport-int4' (did you mean 'support-int4'?); \
there are: support-int4
        """
        if name not in self.config.experiments:
            raise unknown("experiment", name, self.config.experiments)
        epochs = self._store.epochs(name)
        if not epochs:
            raise WorkbenchError(f"{name} has not begun: there is no epoch of it")
        numbers = [found.number for found in epochs]
        if epoch is not None and epoch not in numbers:
            raise WorkbenchError(f"{name} has no epoch {epoch}; there are: {', '.join(map(str, numbers))}")
        chosen = epochs[-1] if epoch is None else next(found for found in epochs if found.number == epoch)
        return OpenExperiment(self._store, self._showing, chosen, self._exported)
