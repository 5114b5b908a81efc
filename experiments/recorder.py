"""Journal -> store. Idempotent: a record's id is its key, and a batch is stored with the offset it was read up to.

The proxies only append; this is where bodies are parsed, off the traffic's path. A segment is deleted when it is loaded
to its end and nobody can write to it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import structlog

from experiments.config.records import Config
from experiments.journal_format import SUFFIX, Damaged, End, Entry, read_segment, writer_is_alive
from experiments.model import Exchange, Feedback
from experiments.protocols import protocol
from experiments.store import LoadedExchange, Store

_log = structlog.get_logger(__name__)
_BATCH = 2_000


class Recorder:
    """Loads the journal of all proxies of this machine.

    Args:
        config: Says where the journal is.
        store: Where it goes.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._folder = Path(config.router.journal)
        self._store = store

    def record(self) -> int:
        """Load everything that is whole now; returns how many records were read."""
        return sum(self._load_segment(path) for path in sorted(self._folder.glob(f"*{SUFFIX}")))

    def _load_segment(self, path: Path) -> int:
        # Asked before reading: a writer that dies in between may have written after our last look.
        abandoned = not writer_is_alive(path.name)
        offset, total, ended = self._store.segment_offset(path.name), 0, False
        entries = read_segment(path, offset)
        while batch := list(islice(entries, _BATCH)):
            ended = isinstance(batch[-1], End)
            self._store_batch(path.name, batch)
            total += sum(isinstance(entry, Entry) for entry in batch)
        if ended or abandoned:
            self._discard(path)
        return total

    def _store_batch(self, name: str, batch: list[Entry | Damaged | End]) -> None:
        records = [entry.record for entry in batch if isinstance(entry, Entry)]
        damaged = [entry for entry in batch if isinstance(entry, Damaged)]
        if damaged:
            _log.error("journal_damaged", segment=name, records=len(damaged), bytes=sum(d.length for d in damaged))
        exchanges = [read_texts(record) for record in records if isinstance(record, Exchange)]
        feedback = list(self._feedback(record for record in records if isinstance(record, Feedback)))
        self._store.load(name, batch[-1].offset_after, exchanges, feedback, damaged=len(damaged))

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

    def _discard(self, path: Path) -> None:
        """Delete a segment that is in the store to its end, the file first: its offset outlives it harmlessly."""
        path.unlink(missing_ok=True)
        self._store.forget_segment(path.name)


def read_texts(exchange: Exchange) -> LoadedExchange:
    """Read prompt, answer and tokens from an exchange's captured bodies."""
    read = protocol(exchange.protocol)
    answered = read.answer(exchange.response_text)
    return LoadedExchange(
        exchange=exchange,
        prompt=read.prompt(exchange.request_text),
        answer=answered.text,
        finish_reason=answered.finish_reason,
        input_tokens=answered.input_tokens,
        output_tokens=answered.output_tokens,
        tokens_estimated=answered.tokens_estimated,
    )


def number(value: float | bool | str) -> float | None:  # noqa: FBT001
    """Return a feedback value as a number; None for a text, which is not analysed yet.

    >>> number(True), number(0.5), number("fine")
    (1.0, 0.5, None)
    """
    return float(value) if isinstance(value, (bool, int, float)) else None
