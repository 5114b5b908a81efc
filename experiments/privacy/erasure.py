"""Prompts and answers leave the store again: hashed once they have served, erased when their time is up.

`capture = "hashed"`, and what `capture_percent` leaves out: as soon as nothing needs a text any more, its keyed SHA-256
hash takes its place: equal texts can still be counted, none can be read. `retention_days`: whatever the capture, the
text itself goes. Figures and outcomes stay, so decisions replay as before. Both work in small batches, between the
controller's looks; what they take out of a SQLite database is gone from its files within about a minute.
`keep_exchanges_days` drops what is left of exchanges, see `experiments.retention`; it works beside them.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

import structlog

from experiments.config.records import Config, Experiment
from experiments.mirroring import first_draw_at
from experiments.privacy.stored_texts import ErasedTexts, StoredTexts, UnerasedTexts, empty_wal
from experiments.retention.keeper import Keeper
from experiments.store import Store

_log = structlog.get_logger(__name__)
_BATCH = 1_000
_RETENTION_CHECK_S = 60.0
_SECONDS_PER_DAY = 86_400
_DEFAULT_RETENTION_DAYS: float = Experiment.model_fields["retention_days"].default
"""For exchanges of no experiment, and of those that are configured no more."""


class Eraser:
    """Applies the capture policies and retention times of a configuration.

    Args:
        config: Its experiments say what is kept, and for how long.
        store: Migrated by the time that `erase` is called.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._experiments = list(config.experiments.values())
        self._total_timeout_s = config.router.total_timeout_s
        self._engine = store.engine
        self._texts = StoredTexts(store.engine)
        self._keeper = Keeper(store.engine, config.router.keep_exchanges_days)
        self._retention_due = float("-inf")
        self._log_has_texts = False
        """Whether something was erased that the database's write-ahead log may still hold."""

    def __repr__(self) -> str:
        return f"<Eraser of {len(self._experiments)} experiments>"

    def erase(self, now: float) -> int:
        """Hash, erase and drop one batch of each kind that is due; returns how many exchanges were changed.

        To be called after what waits has been recorded and scored: a pair that is scored later has no texts.

        Args:
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        done = sum(self._hash(experiment, now) for experiment in self._experiments if _hashes(experiment))
        done += self._keeper.keep(now)
        if now >= self._retention_due:
            expired = self._expire(now)
            done += expired
            if self._log_has_texts or done:
                # Without patience: a reader that is in the way now is not in a minute.
                self._log_has_texts = not empty_wal(self._engine, patience_s=0.0)
            # As long as there is more than a batch, each tick takes one.
            self._retention_due = now if expired >= _BATCH else now + _RETENTION_CHECK_S
        elif done:
            self._log_has_texts = True
        return done

    def _hash(self, experiment: Experiment, now: float) -> int:
        # An exchange that old has no other side that is still to come.
        settled_before = now - self._total_timeout_s - experiment.policy.settle_seconds
        kept = experiment.capture_percent if experiment.capture == "full" else 0.0
        found = self._texts.of_no_use(experiment.name, settled_before, _BATCH, beyond=first_draw_at(kept))
        key = experiment.salt.encode()
        self._texts.erase([_hashed(key, texts) for texts in found], now)
        return len(found)

    def _expire(self, now: float) -> int:
        names = [experiment.name for experiment in self._experiments]
        before = {e.name: now - e.retention_days * _SECONDS_PER_DAY for e in self._experiments}
        found = [
            *(seq for name, limit in before.items() for seq in self._texts.before([name], limit, _BATCH)),
            *self._texts.before(names, now - _DEFAULT_RETENTION_DAYS * _SECONDS_PER_DAY, _BATCH, others=True),
        ]
        self._texts.erase([ErasedTexts(seq, None, None) for seq in found], now)
        if found:
            _log.info("texts_erased", exchanges=len(found))
        return len(found)


def _hashes(experiment: Experiment) -> bool:
    return experiment.capture == "hashed" or (experiment.capture == "full" and experiment.capture_percent < 100)


def _hashed(key: bytes, texts: UnerasedTexts) -> ErasedTexts:
    return ErasedTexts(texts.seq, keyed_hash(key, texts.prompt), keyed_hash(key, texts.answer))


def keyed_hash(key: bytes, text: str | None) -> str | None:
    """Return what stands in for a text.

    >>> keyed_hash(b"salt", "yes")[:19], keyed_hash(b"salt", None)
    ('sha256:9f831ba85cec', None)
    """
    if text is None:
        return None
    return f"sha256:{hmac.new(key, text.encode('utf-8', 'surrogatepass'), sha256).hexdigest()}"
