"""How fast each variant answers, as counts in logarithmic buckets: small, mergeable, and never the exchanges again.

Each bucket is 2 % wide, so a quantile is within 1 % of the true one whatever the distribution, and two hours or two
shards add up exactly. A histogram of a variant has a few hundred buckets at most.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.model import Role
from experiments.scoring.sides import failed
from experiments.server_timings import COMPUTE_MS, LEAST_MS, QUEUE_MS, WAITING_MS, ServerTimings
from experiments.stored import StoredExchange

LATENCY_MS, TTFT_MS, TOKENS_PER_S = "latency_ms", "ttft_ms", "tokens_per_s"
MEASURES = (LATENCY_MS, TTFT_MS, TOKENS_PER_S, COMPUTE_MS, WAITING_MS, QUEUE_MS)
_GROWTH = 1.02
_LOG_GROWTH = math.log(_GROWTH)
ERROR_PERCENT = 1.0
"""A value is given as the geometric middle of its bucket: within 1 % of what was measured."""


class Quantile(NamedTuple):
    """So large a share of the answers is at or below the value, which is within `ERROR_PERCENT`."""

    share: float
    value: float


class Durations:
    """Latency and time to the first byte in milliseconds, and tokens per second, of each variant.

    Tokens per second are those of the whole answer: output tokens by the time from dispatch to the last byte. Where the
    server reports its own time, the latency is also split into what it computed and the rest, queueing and network.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], Counter[int]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Durations) and self.snapshot() == other.snapshot()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        counts = {f"{measure} of {variant}": n.total() for (measure, variant), n in self._counts.items()}
        return f"<Durations {counts}>"

    def add(self, stored: StoredExchange) -> None:
        """Count one answer; failures, answers from the cache and golden requests say nothing of a variant's speed."""
        exchange = stored.exchange
        if exchange.role not in {Role.LIVE, Role.SHADOW} or exchange.cached or failed(stored):
            return
        self._count(LATENCY_MS, exchange.served, exchange.latency_ms)
        self._count(TTFT_MS, exchange.served, exchange.ttft_ms)
        if exchange.latency_ms and stored.output_tokens and not stored.tokens_estimated:
            self._count(TOKENS_PER_S, exchange.served, 1000 * stored.output_tokens / exchange.latency_ms)
        if exchange.latency_ms and stored.server_compute_ms is not None:
            self._split(stored, exchange.latency_ms, stored.server_compute_ms)

    def _split(self, stored: StoredExchange, latency_ms: float, compute_ms: float) -> None:
        """Count what the server says of its own time; a time of nothing is one too short to be told."""
        timings = ServerTimings(compute_ms, stored.server_queue_ms)
        self._count(COMPUTE_MS, stored.exchange.served, max(LEAST_MS, compute_ms))
        self._count(WAITING_MS, stored.exchange.served, timings.waiting_ms(latency_ms))
        if timings.queue_ms is not None:
            self._count(QUEUE_MS, stored.exchange.served, max(LEAST_MS, timings.queue_ms))

    def _count(self, measure: str, variant: str, value: float | None) -> None:
        if value is None or not 0 < value < math.inf:
            return
        self._counts.setdefault((measure, variant), Counter())[math.floor(math.log(value) / _LOG_GROWTH)] += 1

    def merge(self, other: Durations) -> Durations:
        """Return both together."""
        found = Durations()
        for counts in (self._counts, other._counts):
            for key, counter in counts.items():
                found._counts.setdefault(key, Counter()).update(counter)
        return found

    def snapshot(self) -> dict[str, Any]:
        """Return the counts as plain data for JSON: measure -> variant -> [first bucket, count, count, ...].

        It is kept with every look, so it is short: without the numbers of the buckets between.
        """
        measures: dict[str, dict[str, list[int]]] = {}
        for (measure, variant), counts in sorted(self._counts.items()):
            first, last = min(counts), max(counts)
            measures.setdefault(measure, {})[variant] = [first, *(counts[b] for b in range(first, last + 1))]
        return {"growth": _GROWTH, **measures}

    @classmethod
    def of(cls, snapshot: Mapping[str, Any]) -> Durations:
        """Take what `snapshot` gave.

        Raises:
            ValueError: It was counted in buckets of another width.
        """
        if snapshot.get("growth", _GROWTH) != _GROWTH:
            raise ValueError(f"growth == {snapshot['growth']!r}, must be {_GROWTH}")
        found = cls()
        for measure in MEASURES:
            for variant, (first, *counts) in snapshot.get(measure, {}).items():
                found._counts[measure, variant] = Counter({first + i: n for i, n in enumerate(counts) if n})
        return found

    def count(self, measure: str, variant: str) -> int:
        """Return how many answers were measured."""
        return self._of(measure, variant).total()

    def quantiles(self, measure: str, variant: str, shares: tuple[float, ...] = (0.5, 0.95, 0.99)) -> list[Quantile]:
        """Return the values at or below which so large a share of the answers lies; empty if none was measured.

        Args:
            measure: One of `MEASURES`.
            variant: `control` or `treatment`.
            shares: In (0, 1], rising.
        """
        curve = self.curve(measure, variant)
        return [Quantile(share, next(v for s, v in curve if s >= share - 1e-12)) for share in shares if curve]

    def curve(self, measure: str, variant: str) -> list[Quantile]:
        """Return the whole distribution, one point a bucket, the shares rising to 1."""
        counts = self._of(measure, variant)
        total, seen, found = counts.total(), 0, []
        for bucket, n in sorted(counts.items()):
            seen += n
            found.append(Quantile(seen / total, _GROWTH ** (bucket + 0.5)))
        return found

    def _of(self, measure: str, variant: str) -> Counter[int]:
        return self._counts.get((measure, variant), Counter())
