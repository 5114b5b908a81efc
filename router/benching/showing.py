"""What `touchstone bench-pair` prints: one table and one sentence, or the same figures as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import msgspec
from rich.table import Column, Table

from analysis.result import NotEstimable
from experiments.benching.accuracy import Contrast
from experiments.benching.benchmark import Benchmark
from experiments.benching.words import MOST_VALUES, named, points, summary, times, worse_in
from experiments.model import CONTROL, TREATMENT
from router.views import View

_NOT_TOLD = "cannot tell"
_MB = 1e6
_COLUMNS = ("control", "treatment", "differs", "95 % CI", "lost/won")
Row = tuple[str, str, str, str, str, str]
"""What, control, treatment, the difference, its 95 % interval, right only in control / only in the treatment."""


def shown(found: Benchmark, margin: float | None = None) -> View:
    """Return what to show.

    Args:
        found: All figures.
        margin: As for `experiments.benching.words.summary`.
    """
    table = Table(
        Column("", no_wrap=True),
        *(Column(name, justify="right", no_wrap=True) for name in _COLUMNS),
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        caption=_caption(found),
        caption_justify="left",
    )
    for row in rows(found):
        table.add_row(*row)
    said = summary(found, margin)
    answered = all(speed.answered for speed in found.speeds.values())
    return View(_data(found, said), [table, "", said], ok=answered)


def rows(found: Benchmark) -> Iterator[Row]:
    """Yield the rows of the table."""
    yield from _speed_rows(found)
    yield from _memory_rows(found)
    if found.likeness is not None:
        like = found.likeness
        yield ("cosine, mean", "", f"{like.mean:.4f}", "", "", "")
        yield ("cosine, least", "", f"{like.least:.4f}", f"({like.least_id})", "", "")
    if found.accuracy is None:
        yield ("accuracy", _NOT_TOLD, _NOT_TOLD, "", "", "")
        return
    yield _accuracy_row("accuracy", found.accuracy.overall)
    for name, contrast in named(found.accuracy).items():
        yield _accuracy_row(f"  {name}", contrast)


def _speed_rows(found: Benchmark) -> Iterator[Row]:
    control, treatment = found.speeds[CONTROL], found.speeds[TREATMENT]
    yield (f"answered, of {control.asked:,}", f"{control.answered:,}", f"{treatment.answered:,}", *_NONE)
    yield _ratio_row("tokens per second", control.tokens_per_s, treatment.tokens_per_s, "{:,.0f}".format)
    yield _ratio_row("latency p50, ms", control.latency_p50_ms, treatment.latency_p50_ms, _ms)
    yield _ratio_row("latency p95, ms", control.latency_p95_ms, treatment.latency_p95_ms, _ms)
    if control.first_p50_ms is None and treatment.first_p50_ms is None:
        yield ("first token p50, ms", "-", "-", *_NONE)
    else:
        yield _ratio_row("first token p50, ms", control.first_p50_ms, treatment.first_p50_ms, _ms)
    ratio = found.times_faster
    if isinstance(ratio, NotEstimable):
        yield ("times as fast", "", "", _NOT_TOLD, "", "")
    else:
        yield ("times as fast", "", "", f"x{times(ratio.value)}", f"{times(ratio.lower)} to {times(ratio.upper)}", "")


def _memory_rows(found: Benchmark) -> Iterator[Row]:
    control, treatment = found.memory[CONTROL], found.memory[TREATMENT]
    if found.cpu_ms:
        yield _ratio_row("CPU a request, ms", found.cpu_ms.get(CONTROL), found.cpu_ms.get(TREATMENT), _ms)
    yield _ratio_row("memory (RSS), MB", control.rss_bytes, treatment.rss_bytes, _megabytes)
    if control.model_bytes is not None or treatment.model_bytes is not None:
        yield _ratio_row("model file, MB", control.model_bytes, treatment.model_bytes, _megabytes)


def _ratio_row(
    name: str, control: float | None, treatment: float | None, form: Callable[[float], str], unknown: str = _NOT_TOLD
) -> Row:
    difference = f"x{times(treatment / control)}" if control and treatment is not None else ""
    texts = (unknown if value is None else form(value) for value in (control, treatment))
    return (name, *texts, difference, "", "")  # type: ignore[return-value]  # a generator of two


def _accuracy_row(name: str, contrast: Contrast) -> Row:
    interval = contrast.interval
    told = _NOT_TOLD if isinstance(interval, NotEstimable) else f"{points(interval.lower)} to {points(interval.upper)}"
    return (
        f"{name} (n={contrast.n:,})",
        f"{100 * contrast.accuracy_a:.1f} %",
        f"{100 * contrast.accuracy_b:.1f} %",
        points(contrast.difference),
        told,
        f"{contrast.only_a}/{contrast.only_b}",
    )


def _caption(found: Benchmark) -> str:
    """Say what the columns mean, and what could not be told and why."""
    lines = ["xN: treatment by control. Accuracy: points. lost/won: right only in control / only in the treatment."]
    if all(speed.first_p50_ms is None for speed in found.speeds.values()):
        lines.append("First token: nothing was streamed (--stream asks for it).")
    lines += [f"Memory of {name}: cannot tell ({m.why_not})." for name, m in found.memory.items() if m.why_not]
    if not found.repeatable:
        lines.append("Requests without a temperature of 0: another run would bring other answers (--body).")
    if found.not_judged:
        lines.append(f"Not judged: {found.not_judged:,} of {found.items:,} items ({found.not_judged_because}).")
    for tag, values in ({} if found.accuracy is None else found.accuracy.by_tag).items():
        if len(values) > MOST_VALUES:
            lines.append(f"Tag {tag} has {len(values)} values: they are in --json; --cluster {tag} if items are alike.")
    for variant, errors in found.errors.items():
        lines += [f"{variant} failed {count:,} times: {error}." for error, count in errors.items()]
    if any(speed.tokens_estimated for speed in found.speeds.values()):
        lines.append("Tokens were counted from the stream's chunks: the backend reports none.")
    return "\n".join(lines)


def _data(found: Benchmark, said: str) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(
        {"summary": said, **{field: getattr(found, field) for field in found.__dataclass_fields__}}
    )
    data["times_faster"] = asdict(found.times_faster)
    data["worse_in"] = worse_in(found)
    return data


def _ms(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _megabytes(value: float) -> str:
    return f"{value / _MB:,.1f}"


_NONE = ("", "", "")
