"""What quantizing costs the support model: the whole golden set through every copy, offline.

    python -m examples.support_model.measure

A thin use of what `touchstone bench-pair` is made of: `answers` asks one server, `compare` sets the answers of two side
by side. Queries of one template are alike, hence the cluster-robust test with templates as the units.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from analysis.result import Estimate, NotEstimable
from examples.support_model.catalog import KINDS, MODELS
from examples.support_model.data import GOLDEN
from examples.support_model.errors import SupportModelError
from examples.support_model.serve import running
from experiments.benching.accuracy import Accuracy, Contrast, Mark, contrasts
from experiments.config.serving import Backend
from experiments.golden.sets import GoldenError, GoldenItem, load_golden
from router.benching.asking import Asking, ask_one_variant
from router.golden.client import Target

CLUSTER_TAG = "template"
_CONCURRENCY = 4
"""The slots of a server: more requests at once would only wait."""
_OPTIONS = {"model": "support", "max_tokens": 40, "temperature": 0, "cache_prompt": False}


def compare(golden: Sequence[GoldenItem], answers_a: Sequence[str], answers_b: Sequence[str]) -> Accuracy:
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
    marks = [
        Mark(item.tags, is_right(item, a), is_right(item, b))
        for item, a, b in zip(golden, answers_a, answers_b, strict=True)
    ]
    # The interval of independent questions, as the model card has it; the clustered p-value stands beside it.
    return contrasts(marks, CLUSTER_TAG, clustered_interval=False)


def is_right(item: GoldenItem, answer: str) -> bool:
    """Return whether an answer is exactly the expected one, white space around it aside."""
    if item.expected.exact is None:
        raise ValueError(f"golden item {item.id} has no expected.exact")
    return answer.strip() == item.expected.exact.strip()


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
    target = Target(Backend(name="model", urls=(base_url,)))
    found = await ask_one_variant(target, golden, Asking(concurrency=concurrency, fields=_OPTIONS), on_answer)
    for item in golden:
        sample = found[item.id]
        if sample.text is None:
            raise SupportModelError(f"{base_url} did not answer {item.id}: {sample.error}")
    return [found[item.id].text or "" for item in golden]


async def answers_of_models(
    urls: dict[str, str], golden: Sequence[GoldenItem], progress: Progress
) -> dict[str, list[str]]:
    """Ask several servers at once: a server computes on one core, so together they fill the machine."""

    async def ask(model: str, url: str) -> list[str]:
        bar = progress.add_task(model, total=len(golden))
        return await answers(url, golden, on_answer=lambda: progress.advance(bar))

    return dict(zip(urls, await asyncio.gather(*(ask(*item) for item in urls.items())), strict=True))


def measure(golden: Sequence[GoldenItem], folder: Path, out: Console) -> dict[str, Accuracy]:
    """Run the golden set through every model; return each quantized copy's comparison with the original."""
    with ExitStack() as stack:
        urls = {kind: stack.enter_context(running(kind, folder=folder)) for kind in KINDS}
        progress = stack.enter_context(Progress(console=out))
        found = asyncio.run(answers_of_models(urls, golden, progress))
    original, *copies = KINDS
    return {kind: compare(golden, found[original], found[kind]) for kind in copies}


def ladder(comparisons: dict[str, Accuracy]) -> Table:
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
