"""A benchmark from beginning to end: prototypes, both variants in turns, their memory, all figures.

It loads statistics, so the serving process must not import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.benching.benchmark import Benchmark, benchmark
from experiments.benching.embeddings import Prototypes
from experiments.golden.items import GoldenItem
from experiments.model import CONTROL
from experiments.protocols import protocol
from router.benching.asking import Asking, Progress, ask_one_variant, ask_pair, body_of
from router.benching.memory import cpu_seconds, memories
from router.benching.pairing import BenchError, Pairing


async def run_pair(
    pairing: Pairing,
    asking: Asking,
    *,
    prototypes: Sequence[GoldenItem] = (),
    model_files: Mapping[str, Path] | None = None,
    cluster_tag: str | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Benchmark:
    """Benchmark a pair.

    Args:
        pairing: Who is asked what.
        asking: How.
        prototypes: Items whose embeddings, by control, the others are held against.
        model_files: Variant -> the file or folder of its model.
        cluster_tag: The tag whose value names an item's cluster.
        progress: Called with how many items are done, and of how many.

    Raises:
        BenchError: A prototype could not be embedded, or no item has the cluster's tag.
        OSError: A model file cannot be read.
    """
    if cluster_tag is not None and not any(cluster_tag in item.tags for item in pairing.items):
        known = ", ".join(sorted({tag for item in pairing.items for tag in item.tags})) or "none"
        raise BenchError(f"--cluster {cluster_tag!r} is a tag of no item; there are: {known}")
    files = dict(model_files or {})
    memories({}, files)  # a file that is not there must not cost a whole run
    asking = asking._replace(embeddings=bool(prototypes), model=asking.model or pairing.model)
    held_against = await _embedded(pairing, prototypes, asking) if prototypes else None
    before: dict[str, float] = {}
    arms = await ask_pair(
        pairing.targets, pairing.items, asking, progress, lambda: before.update(cpu_seconds(pairing.urls))
    )
    used = {
        variant: after - before[variant] for variant, after in cpu_seconds(pairing.urls).items() if variant in before
    }
    return benchmark(
        pairing.items,
        arms,
        concurrency=asking.concurrency,
        memory={v: replace(memory, cpu_s=used.get(v)) for v, memory in memories(pairing.urls, files).items()},
        prototypes=held_against,
        cluster_tag=cluster_tag,
        label_from=pairing.label_from,
        repeatable=not pairing.writes or all(_is_repeatable(pairing, item, asking) for item in pairing.items),
    )


def _is_repeatable(pairing: Pairing, item: GoldenItem, asking: Asking) -> bool:
    return protocol(pairing.backends[CONTROL].protocol).traits(body_of(item, asking)).deterministic


async def _embedded(pairing: Pairing, prototypes: Sequence[GoldenItem], asking: Asking) -> Prototypes:
    samples = await ask_one_variant(pairing.targets[CONTROL], prototypes, asking)
    labels, vectors = [], []
    for item in prototypes:
        vector = samples[item.id].vector
        if vector is None:
            why = samples[item.id].error or "its answer is no embedding"
            raise BenchError(f"control did not embed prototype {item.id}: {why}")
        labels.append(item.expected.label or "")
        vectors.append(vector)
    return Prototypes(labels, vectors)
