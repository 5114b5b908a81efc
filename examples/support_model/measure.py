"""What quantizing costs the support model: the whole golden set through every copy, offline.

    python -m examples.support_model.measure

`answers` asks one server; `compare` sets the answers of two side by side and is pure, so the demo checks its own
verdict with it. Queries of one template are alike, hence the cluster-robust test with templates as the units.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from analysis.paired import cluster_mcnemar, mcnemar, tango_interval
from analysis.result import Estimate, NotEstimable
from examples.support_model.catalog import KINDS, MODELS
from examples.support_model.data import GOLDEN
from examples.support_model.errors import SupportModelError
from examples.support_model.serve import running
from experiments.golden.sets import GoldenError, GoldenItem, load_golden

CLUSTER_TAG = "template"
_CONCURRENCY = 4
"""The slots of a server: more requests at once would only wait."""
_OPTIONS = {"model": "support", "max_tokens": 40, "temperature": 0, "cache_prompt": False}


@dataclass(frozen=True)
class Contrast:
    """Two models on the same questions: A the original, B the quantized copy."""

    n: int
    right_a: int
    right_b: int
    only_a: int
    """Questions that A alone answered right."""
    only_b: int
    interval: Estimate | NotEstimable
    """Tango's 95 % interval of B's share of right answers minus A's."""
    p_mid: float
    """McNemar's mid-p: all questions independent."""
    p_cluster: float
    """Cluster-robust McNemar: templates independent."""
    clusters: int

    @property
    def accuracy_a(self) -> float:
        """Share of the questions that A answered right."""
        return self.right_a / self.n

    @property
    def accuracy_b(self) -> float:
        """Share of the questions that B answered right."""
        return self.right_b / self.n

    @property
    def difference(self) -> float:
        """B minus A."""
        return (self.right_b - self.right_a) / self.n


@dataclass(frozen=True)
class Comparison:
    """The contrast on all questions, and on those of each tag's value."""

    overall: Contrast
    by_tag: dict[str, dict[str, Contrast]]
    """Tag -> value -> contrast, such as `by_tag["language"]["hi"]`."""


@dataclass(frozen=True)
class _Marked:
    """One question with both marks."""

    tags: dict[str, str]
    a: bool
    b: bool


def compare(golden: Sequence[GoldenItem], answers_a: Sequence[str], answers_b: Sequence[str]) -> Comparison:
    """Mark two models' answers and set them side by side.

    Args:
        golden: Questions with exact answers, at least one.
        answers_a: The original's answers, in the order of `golden`.
        answers_b: The quantized copy's answers, in the same order.

    Raises:
        ValueError: No question, not as many answers as questions, or a question without an exact answer.
    """
    if not golden:
        raise ValueError("golden is empty")
    marked = [
        _Marked(item.tags, is_right(item, a), is_right(item, b))
        for item, a, b in zip(golden, answers_a, answers_b, strict=True)
    ]
    tags = sorted({tag for item in golden for tag in item.tags} - {CLUSTER_TAG})
    return Comparison(_contrast(marked), {tag: _by_value(marked, tag) for tag in tags})


def is_right(item: GoldenItem, answer: str) -> bool:
    """Return whether an answer is exactly the expected one, white space around it aside."""
    if item.expected.exact is None:
        raise ValueError(f"golden item {item.id} has no expected.exact")
    return answer.strip() == item.expected.exact.strip()


def _by_value(marked: Sequence[_Marked], tag: str) -> dict[str, Contrast]:
    values = dict.fromkeys(mark.tags[tag] for mark in marked if tag in mark.tags)
    return {value: _contrast([mark for mark in marked if mark.tags.get(tag) == value]) for value in values}


def _contrast(marked: Sequence[_Marked]) -> Contrast:
    # A question without a template stands for itself.
    clusters = [mark.tags.get(CLUSTER_TAG, str(number)) for number, mark in enumerate(marked)]
    losses = Counter(cluster for cluster, mark in zip(clusters, marked, strict=True) if mark.a and not mark.b)
    wins = Counter(cluster for cluster, mark in zip(clusters, marked, strict=True) if mark.b and not mark.a)
    names = sorted(set(clusters))
    return Contrast(
        n=len(marked),
        right_a=sum(mark.a for mark in marked),
        right_b=sum(mark.b for mark in marked),
        only_a=losses.total(),
        only_b=wins.total(),
        interval=tango_interval(wins.total(), losses.total(), len(marked)),
        p_mid=mcnemar(wins.total(), losses.total()).p_mid,
        p_cluster=cluster_mcnemar([losses[name] for name in names], [wins[name] for name in names]).p_value,
        clusters=len(names),
    )


async def answers(
    base_url: str,
    golden: Sequence[GoldenItem],
    concurrency: int = _CONCURRENCY,
    on_answer: Callable[[], object] = lambda: None,
) -> list[str]:
    """Ask a server every question, at most `concurrency` at a time.

    Args:
        base_url: Such as `http://127.0.0.1:9101`, of the router or of a model server.
        golden: The questions.
        concurrency: Requests in flight, at least 1.
        on_answer: Called after each answer.

    Returns:
        The answers in the order of `golden`.

    Raises:
        SupportModelError: The server cannot be reached, or does not answer as a chat completion.
        ValueError: `concurrency` is below 1.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency == {concurrency!r}, must be >= 1")
    found = [""] * len(golden)
    waiting = iter(enumerate(golden))

    async def worker(session: aiohttp.ClientSession) -> None:
        for number, item in waiting:
            found[number] = await _ask(session, base_url, item)
            on_answer()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker(session))
        except* SupportModelError as errors:
            raise errors.exceptions[0] from None
    return found


async def _ask(session: aiohttp.ClientSession, base_url: str, item: GoldenItem) -> str:
    try:
        async with session.post(f"{base_url}/v1/chat/completions", json=item.request | _OPTIONS) as response:
            if response.status != 200:
                text = await response.text()
                raise SupportModelError(f"{base_url} answered {item.id} with {response.status}: {text[:200]}")
            body: dict[str, Any] = await response.json()
            return str(body["choices"][0]["message"]["content"])
    except (aiohttp.ClientError, TimeoutError) as error:
        raise SupportModelError(f"{base_url} did not answer {item.id}: {error or type(error).__name__}") from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SupportModelError(f"{base_url} answered {item.id} with something else than a completion") from error


async def answers_of_models(
    urls: dict[str, str], golden: Sequence[GoldenItem], progress: Progress
) -> dict[str, list[str]]:
    """Ask several servers at once: a server computes on one core, so together they fill the machine."""

    async def ask(model: str, url: str) -> list[str]:
        bar = progress.add_task(model, total=len(golden))
        return await answers(url, golden, on_answer=lambda: progress.advance(bar))

    return dict(zip(urls, await asyncio.gather(*(ask(*item) for item in urls.items())), strict=True))


def measure(golden: Sequence[GoldenItem], folder: Path, out: Console) -> dict[str, Comparison]:
    """Run the golden set through every model; return each quantized copy's comparison with the original."""
    with ExitStack() as stack:
        urls = {kind: stack.enter_context(running(kind, folder=folder)) for kind in KINDS}
        progress = stack.enter_context(Progress(console=out))
        found = asyncio.run(answers_of_models(urls, golden, progress))
    original, *copies = KINDS
    return {kind: compare(golden, found[original], found[kind]) for kind in copies}


def ladder(comparisons: dict[str, Comparison]) -> Table:
    """Return the table of all copies, each on all questions and by language."""
    sizes = next(iter(comparisons.values())).overall
    columns = ("", "F32", "copy", "points", "95 % CI", "lost/won", "mid-p", "clustered")
    table = Table(
        *(Column(name, no_wrap=True) for name in columns),
        title=f"Exact match on {sizes.n} questions of {sizes.clusters} templates",
        caption="lost/won: right only in F32 / only in the copy. clustered: templates are the independent units.",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title_justify="left",
        caption_justify="left",
    )
    for kind, comparison in comparisons.items():
        table.add_row(kind, *_cells(comparison.overall), style="bold")
        for language, contrast in comparison.by_tag.get("language", {}).items():
            table.add_row(f"  {language}", *_cells(contrast))
    return table


def _cells(found: Contrast) -> tuple[str, ...]:
    return (
        f"{100 * found.accuracy_a:.1f} %",
        f"{100 * found.accuracy_b:.1f} %",
        f"{100 * found.difference:+.1f}",
        _interval(found.interval),
        f"{found.only_a}/{found.only_b}",
        f"{found.p_mid:.2g}",
        f"{found.p_cluster:.2g}",
    )


def _interval(found: Estimate | NotEstimable) -> str:
    if isinstance(found, NotEstimable):
        return found.reason
    return f"{100 * found.lower:+.1f}, {100 * found.upper:+.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="golden set (default: the one shipped)")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the model files and SHA256SUMS")
    options = parser.parse_args()
    out = Console()
    try:
        comparisons = measure(load_golden(options.golden).items, options.models, out)
    except (SupportModelError, GoldenError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    out.print(ladder(comparisons))


if __name__ == "__main__":
    main()
