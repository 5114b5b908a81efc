"""A benchmark of a pair: all its figures from what both variants answered. Pure.

Whether an answer is right is for `experiments.golden.runs.judge`, as in a golden run: an item that one variant failed
to answer is one that it got wrong, and an item that no program can judge is left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.result import Estimate, NotEstimable
from experiments.benching.accuracy import Accuracy, Mark, contrasts
from experiments.benching.embeddings import Likeness, Prototypes, likeness
from experiments.benching.samples import Sample, Samples
from experiments.benching.speed import Speed, speed, times_faster
from experiments.golden.items import GoldenItem
from experiments.golden.runs import Outcome, Said, judge
from experiments.model import CONTROL, TREATMENT


@dataclass(frozen=True)
class Memory:
    """What one server takes: memory, processor time, its model file."""

    rss_bytes: int | None = None
    """Resident memory of the server's processes after the last request; None if it cannot be told."""
    why_not: str = ""
    """Why it cannot."""
    model_bytes: int | None = None
    """Size of the model file; None if none was named."""
    cpu_s: float | None = None
    """Processor time that the server used for all requests that count; None if it cannot be told."""


@dataclass(frozen=True)
class Benchmark:
    """What `touchstone bench-pair` shows."""

    items: int
    concurrency: int
    speeds: dict[str, Speed]
    """Variant -> its figures."""
    times_faster: Estimate | NotEstimable
    """The treatment against control; below 1 it is slower."""
    memory: dict[str, Memory]
    cpu_ms: dict[str, float]
    """Variant -> processor time of its server for a request that was answered; without those that cannot be told."""
    accuracy: Accuracy | None
    """None if no item could be judged: see `not_judged_because`."""
    not_judged: int
    """Items left out of it."""
    not_judged_because: str
    likeness: Likeness | None
    """Of embeddings; None for texts."""
    repeatable: bool
    """Whether every request asked for the likeliest answer; if not, another run would bring other answers."""
    errors: dict[str, dict[str, int]]
    """Variant -> why requests failed -> how many."""


def benchmark(
    items: Sequence[GoldenItem],
    arms: Mapping[str, Samples],
    *,
    concurrency: int,
    memory: Mapping[str, Memory],
    prototypes: Prototypes | None = None,
    cluster_tag: str | None = None,
    label_from: str | None = None,
    repeatable: bool = True,
) -> Benchmark:
    """Return all figures of a benchmark.

    Args:
        items: The golden set.
        arms: What each variant did.
        concurrency: Requests that were in flight.
        memory: Variant -> its memory.
        prototypes: What an embedding is held against; without, embeddings are not judged.
        cluster_tag: See `experiments.benching.accuracy.contrasts`.
        label_from: As for `experiments.golden.runs.judge`.
        repeatable: Whether every request asked for the likeliest answer.
    """
    control, treatment = arms[CONTROL], arms[TREATMENT]
    speeds = {variant: speed(arm) for variant, arm in arms.items()}
    marks = _marks(items, control, treatment, prototypes, label_from)
    return Benchmark(
        items=len(items),
        concurrency=concurrency,
        speeds=speeds,
        times_faster=times_faster(control, treatment),
        memory=dict(memory),
        cpu_ms={v: 1e3 * m.cpu_s / speeds[v].answered for v, m in memory.items() if m.cpu_s and speeds[v].answered},
        accuracy=contrasts(marks, cluster_tag) if marks else None,
        not_judged=len(items) - len(marks),
        not_judged_because=_why_not(arms, prototypes) if len(marks) < len(items) else "",
        likeness=likeness(control, treatment),
        repeatable=repeatable,
        errors={variant: _errors(arm) for variant, arm in arms.items()},
    )


def mark(
    item: GoldenItem, sample: Sample, prototypes: Prototypes | None = None, label_from: str | None = None
) -> Outcome:
    """Return how one variant did on one item.

    Args:
        item: What was asked.
        sample: What came back.
        prototypes: What an embedding is held against.
        label_from: As for `experiments.golden.runs.judge`.
    """
    if not sample.answered:
        return Outcome.FAILED
    if sample.vector is None:
        return judge(item, Said(text=sample.text), label_from)
    if prototypes is None or item.expected.label is None:
        return Outcome.UNKNOWN
    return Outcome.OK if prototypes.nearest(sample.vector) == item.expected.label else Outcome.WRONG


def _marks(
    items: Sequence[GoldenItem],
    control: Samples,
    treatment: Samples,
    prototypes: Prototypes | None,
    label_from: str | None,
) -> list[Mark]:
    found = []
    for item in items:
        pair = [mark(item, samples[item.id], prototypes, label_from) for samples in (control, treatment)]
        # Two failures say nothing of the models, and where one cannot be judged the pair cannot.
        if Outcome.UNKNOWN not in pair and pair != [Outcome.FAILED] * 2:
            found.append(Mark(item.tags, a=pair[0] is Outcome.OK, b=pair[1] is Outcome.OK))
    return found


def _why_not(arms: Mapping[str, Samples], prototypes: Prototypes | None) -> str:
    samples = [sample for arm in arms.values() for sample in arm.values()]
    if not any(sample.answered for sample in samples):
        return "nothing was answered"
    if any(sample.vector is not None for sample in samples) and prototypes is None:
        return "embeddings are judged by prototypes, and none were given"
    return "neither variant answered, or no rule of the golden set can judge the answer"


def _errors(samples: Samples) -> dict[str, int]:
    counts: dict[str, int] = {}
    for sample in samples.values():
        if sample.error:
            counts[sample.error] = counts.get(sample.error, 0) + 1
    return counts
