"""Speed of two variants on the same items: each one's figures, and by how much one is faster. Pure.

The ratio is the geometric mean of control's latency over the treatment's, item by item: 2 means that the treatment
takes half the time. A pair's ratio does not know how long the item is, so short and long items count alike.

Ratios of neighbouring items are alike: whatever else a machine does, it does for a while. Taken as independent, two
equal servers on a busy machine differed "for certain" in two runs of three. So the interval is that of batch means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from analysis.paired_means import paired_t
from analysis.result import Estimate, NotEstimable
from analysis.sequential import MeanState
from experiments.benching.samples import Sample, Samples

_BATCHES = 20
_ROUNDING = 1e-12


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """One variant's figures. What cannot be told is None."""

    asked: int
    answered: int
    tokens_per_s: float | None
    """Tokens of the answers by the time in which at least one of its requests was out: with several in flight, what
    the server puts through."""
    tokens_estimated: bool
    """Some were counted from chunks."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    first_p50_ms: float | None
    """To the first piece of text; None if nothing was streamed."""


def speed(samples: Samples) -> Speed:
    """Return one variant's figures; failed requests have no latency and are only counted."""
    answered = [sample for sample in samples.values() if sample.answered]
    latencies = [sample.latency_ms for sample in answered if sample.latency_ms is not None]
    firsts = [sample.first_ms for sample in answered if sample.first_ms is not None]
    return Speed(
        asked=len(samples),
        answered=len(answered),
        tokens_per_s=_per_second(answered),
        tokens_estimated=any(sample.tokens_estimated for sample in answered),
        latency_p50_ms=_quantile(latencies, 0.5),
        latency_p95_ms=_quantile(latencies, 0.95),
        first_p50_ms=_quantile(firsts, 0.5),
    )


def times_faster(control: Samples, treatment: Samples) -> Estimate | NotEstimable:
    """Return how many times as fast the treatment is, with its 95 % interval: below 1 it is slower.

    Args:
        control: Id -> sample.
        treatment: Id -> sample; items that both answered are compared.

    Source:
        Student's t on the mean log ratios of 20 batches of items in the order in which they were asked, exponentiated
        (batch means: Schmeiser 1982, Operations Research 30:556-568, who advises 10 to 30).

    >>> fast, slow = ({str(n): Sample(text="", latency_ms=x * (1 + n / 100)) for n in range(9)} for x in (2.0, 4.0))
    >>> times_faster(slow, fast)
    NotEstimable(reason='9 items that both answered, an interval needs at least 40')
    """
    logs = _log_ratios(control, treatment)
    if len(logs) < 2 * _BATCHES:
        return NotEstimable(f"{len(logs)} items that both answered, an interval needs at least {2 * _BATCHES}")
    means = [float(batch.mean()) for batch in np.array_split(np.asarray(logs), _BATCHES)]
    if max(means) - min(means) <= _ROUNDING:
        return NotEstimable("the latency ratios do not vary")
    found = paired_t(MeanState.of(means))
    if isinstance(found, NotEstimable):
        return found
    value, lower, upper = (math.exp(x) for x in (found.value, found.lower, found.upper))
    method = f"t of {_BATCHES} batch means of log latency ratios"
    return Estimate(value, lower, upper, 0.95, len(logs), method, ("independent batches", "one look"))


def _log_ratios(control: Samples, treatment: Samples) -> list[float]:
    """Return the logarithms of the ratios, in the order in which control was asked."""
    found = []
    for name, one in sorted(control.items(), key=lambda pair: pair[1].begun_s):
        other = treatment.get(name)
        if one.latency_ms and other is not None and other.latency_ms:
            found.append(math.log(one.latency_ms / other.latency_ms))
    return found


def busy_s(samples: Iterable[Sample]) -> float:
    """Return for how long at least one request was out, in seconds; what was never answered does not count.

    >>> busy_s([Sample(begun_s=0, latency_ms=3000), Sample(begun_s=2, latency_ms=2000)])
    4.0
    """
    spans = sorted((one.begun_s, one.begun_s + one.latency_ms / 1e3) for one in samples if one.latency_ms is not None)
    total, covered_to = 0.0, -math.inf
    for begin, end in spans:
        total += max(0.0, end - max(begin, covered_to))
        covered_to = max(covered_to, end)
    return total


def _per_second(answered: Sequence[Sample]) -> float | None:
    counts = [sample.tokens for sample in answered if sample.tokens is not None]
    busy = busy_s(answered)
    # A total over some of the answers would look like a slower server.
    if not counts or len(counts) < len(answered) or busy <= 0:
        return None
    return sum(counts) / busy


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None
