"""Journal -> store. Idempotent: a record's id is its key, and a batch is stored with the offset it was read up to.

The proxies only append; this is where bodies are parsed, off the traffic's path. A segment is deleted when it is loaded
to its end and nobody can write to it any more. Nothing that a record or a file is may stop the loading of the others:
what cannot be stored is logged, counted and passed over. Only a store that is away stops it, until it is back.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import structlog
from msgspec.structs import replace
from sqlalchemy.exc import DataError

from experiments.config.records import Config, Experiment
from experiments.journal.format import SUFFIX, Damaged, End, Entry, read_segment, writer_of
from experiments.journal.holding import is_over
from experiments.journal.reading import read_texts
from experiments.journal.recorders import Recorders
from experiments.journal.report import FolderReport
from experiments.languages.identify import CANNOT_TELL, slices_of
from experiments.model import Exchange, Feedback
from experiments.pairs.late_labels import LateLabels
from experiments.store import LoadedExchange, Store

__all__ = ["Recorder", "number", "read_texts"]
_log = structlog.get_logger(__name__)
_BATCH = 2_000
_REFUSED = (DataError, UnicodeError, OverflowError)
"""What a driver raises for a value that no column takes: it would do so for ever."""


class Recorder:
    """Loads the journal of all proxies that write to one folder, and tells in the store how far it is.

    Args:
        config: Says where the journal is, and which slices are to be found in the prompts.
        store: Where it goes.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._folder = Path(config.router.journal)
        self._store = store
        self._labels = LateLabels(config, store)
        self._report = FolderReport(self._folder, Recorders(store.engine))
        self._waiting_bytes = 0
        self._unreadable: set[str] = set()
        self._prompt_slices = {name: _prompt_slices(experiment) for name, experiment in config.experiments.items()}

    def record(self) -> int:
        """Load everything that is whole now; returns how many records were read.

        Raises:
            sqlalchemy.exc.DBAPIError: The store is away, locked or full. What was loaded stays; call again.
        """
        total = self._waiting_bytes = 0
        paths = sorted(self._folder.glob(f"*{SUFFIX}"))
        for path, following in pairwise([*paths, None]):
            assert path is not None  # noqa: S101  # only the last one is
            # A journal begins a segment only after it is through with the one before.
            through = following is not None and writer_of(following.name) == writer_of(path.name)
            try:
                total += self._load_segment(path, through=through)
            except FileNotFoundError:
                continue  # another recorder was quicker
            except OSError as error:
                self._note_unreadable(path.name, error)
        self._report.tell(self._waiting_bytes)
        return total

    def close(self) -> None:
        """Load what is left, and tell that nothing more will be loaded from here.

        Raises:
            sqlalchemy.exc.DBAPIError: See `record`.
        """
        self.record()
        self._report.tell(self._waiting_bytes, ended=True)

    def _load_segment(self, path: Path, *, through: bool) -> int:
        # Asked before reading: a writer that dies in between may have written after our last look.
        through, size = through or is_over(path), path.stat().st_size
        offset, total, ended = self._store.segment_offset(path.name), 0, False
        entries = read_segment(path, offset)
        while batch := list(islice(entries, _BATCH)):
            ended = isinstance(batch[-1], End)
            offset = batch[-1].offset_after
            self._store_batch(path.name, batch)
            total += sum(isinstance(entry, Entry) for entry in batch)
        if ended or through:
            self._note_torn(path, offset)
            self._discard(path)
        else:
            self._waiting_bytes += max(0, size - offset)
        return total

    def _store_batch(self, name: str, batch: list[Entry | Damaged | End]) -> None:
        try:
            self._load(name, batch)
        except _REFUSED as error:
            if len(batch) > 1:
                # Halving finds the one that is refused.
                self._store_batch(name, batch[: len(batch) // 2])
                self._store_batch(name, batch[len(batch) // 2 :])
                return
            _log.error("record_refused", segment=name, offset=batch[0].offset_after, reason=type(error).__name__)
            self._store.load(name, batch[0].offset_after, [], damaged=1)

    def _load(self, name: str, batch: list[Entry | Damaged | End]) -> None:
        records = [entry.record for entry in batch if isinstance(entry, Entry)]
        damaged = [entry for entry in batch if isinstance(entry, Damaged)]
        if damaged:
            _log.error("journal_damaged", segment=name, records=len(damaged), bytes=sum(d.length for d in damaged))
        exchanges = [self._read(record) for record in records if isinstance(record, Exchange)]
        said = [record for record in records if isinstance(record, Feedback)]
        feedback = list(self._feedback(record for record in said if not isinstance(record.value, str)))
        # Before the batch is marked as read: a kill in between has it done again, and the same label is stored once.
        self._labels.add(said, {item.exchange.id: item.exchange.experiment for item in exchanges})
        self._store.load(name, batch[-1].offset_after, exchanges, feedback, damaged=len(damaged))

    def _read(self, record: Exchange) -> LoadedExchange:
        loaded = _read(record)
        wanted = self._prompt_slices.get(record.experiment, ())
        # Here and not later: the prompt is erased one day, and a replay needs the same slices for ever.
        return _with_slices(loaded, wanted) if wanted else loaded

    def _feedback(self, records: Iterator[Feedback]) -> Iterator[dict[str, Any]]:
        for record in records:
            value = number(record.value)
            exchange = record.exchange or self._store.latest_exchange_of(record.experiment, record.unit)
            if value is None or not exchange:
                _log.warning("feedback_dropped", metric=record.metric, reason="no such exchange, or not a number")
                continue
            yield {
                "exchange": exchange,
                "metric": record.metric,
                "source": record.source,
                "value": value,
                "at": record.at,
            }

    def _note_unreadable(self, name: str, error: OSError) -> None:
        """Log a file that cannot be read or deleted, once; it is tried again each time."""
        if name not in self._unreadable:
            self._unreadable.add(name)
            _log.error("segment_unreadable", segment=name, reason=error.strerror)

    def _note_torn(self, path: Path, offset: int) -> None:
        """Count the rest of a line that a kill or a full disk cut off: it was never acknowledged."""
        torn = path.stat().st_size - offset
        if torn > 0:
            _log.warning("journal_torn", segment=path.name, bytes=torn)
            self._store.load(path.name, offset + torn, [], damaged=1)

    def _discard(self, path: Path) -> None:
        """Delete a segment that is in the store to its end, the file first: its offset outlives it harmlessly."""
        path.unlink(missing_ok=True)
        self._store.forget_segment(path.name)


def _read(record: Exchange) -> LoadedExchange:
    """Read an exchange's texts; should that fail, the figures are kept without them."""
    try:
        return read_texts(record)
    except Exception as error:  # noqa: BLE001  # whatever a body is, the records behind it must be loaded
        _log.error("texts_unreadable", exchange=record.id, protocol=record.protocol, reason=type(error).__name__)
        return LoadedExchange(exchange=record)


def _prompt_slices(experiment: Experiment) -> tuple[str, ...]:
    return tuple(slice_.attribute for slice_ in experiment.slices if slice_.source.kind == "prompt")


def _with_slices(loaded: LoadedExchange, wanted: tuple[str, ...]) -> LoadedExchange:
    """Add what is found in the prompt; of a prompt that is not there or cannot be read, it cannot be told."""
    exchange = loaded.exchange
    try:
        found = slices_of(loaded.prompt or "", wanted)
    except Exception as error:  # noqa: BLE001  # whatever a prompt is, the exchange must be loaded
        _log.error("slices_unreadable", exchange=exchange.id, reason=type(error).__name__)
        found = dict.fromkeys(wanted, CANNOT_TELL)
    return replace(loaded, exchange=replace(exchange, slices=exchange.slices | found))


def number(value: float | bool | str) -> float | None:  # noqa: FBT001
    """Return a feedback value as a number; None for a text, which is not analysed yet.

    >>> number(True), number(0.5), number("fine")
    (1.0, 0.5, None)
    """
    return float(value) if isinstance(value, (bool, int, float)) else None
