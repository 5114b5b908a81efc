"""The file that people label: pairs out, a JSON object a line, and the labelled lines back in. Pure.

A blinded line does not say which answer is control's. Which one stands first is decided by a hash of the pair's id, so
the import knows it without being told, and the same pair always reads the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from experiments.config.records import Experiment, Guardrail, Monitor
from experiments.pairs.labels import Label
from experiments.pairs.reader import Pair, PairSide
from experiments.scoring.metric_scorer import UnusableReferenceError, reference_of, scored_metrics, takes_reference

SIDES = ("control", "treatment", "tie")
"""What a label may be where no right answer is compared with; `a` and `b` stand for a blinded line's answers."""
_BLIND = ("a", "b")
_MOST_CHARACTERS = 65_536


class LabelLine(NamedTuple):
    """A line of the file that was understood, or why it was not."""

    number: int
    """Counted from 1."""
    label: Label | None
    """None if nobody has labelled it yet, or it has a flaw."""
    flaw: str = ""


class _Line(msgspec.Struct):
    pair: str
    metric: str
    label: str | None = None


def is_swapped(pair: str) -> bool:
    """Whether the treatment's answer stands first in a blinded line: so it is for half of the pairs.

    >>> is_swapped("p1"), is_swapped("p6")
    (False, True)
    """
    return sha256(f"which answer first: {pair}".encode()).digest()[0] % 2 == 1


def exported(pair: Pair, metric: str, *, blinded: bool = True) -> dict[str, Any]:
    """Return the line of a pair, to be written as JSON.

    Args:
        pair: With its texts.
        metric: What is to be labelled.
        blinded: Leave out which answer is whose, and everything that would tell: scores, times, errors.
    """
    line: dict[str, Any] = {
        "pair": pair.pair,
        "experiment": pair.experiment,
        "metric": metric,
        "slices": pair.slices,
        "prompt": pair.prompt,
    }
    if blinded:
        first, second = (pair.treatment, pair.control) if is_swapped(pair.pair) else (pair.control, pair.treatment)
        return line | {"answer_a": first.answer, "answer_b": second.answer, "label": None}
    sides = {"control": _told(pair.control), "treatment": _told(pair.treatment)}
    return line | sides | {"scores": pair.scores, "label": None}


def read_labels(
    lines: Iterable[bytes],
    experiments: Mapping[str, Experiment],
    experiment_of: Callable[[list[str]], Mapping[str, str]],
    source: str,
    at: float,
) -> Iterator[LabelLine]:
    """Yield what each line says, in order; empty lines are passed over.

    Args:
        lines: Of the file.
        experiments: By name: they say which metrics there are.
        experiment_of: Pairs -> the experiments that they belong to; asked once for many lines.
        source: Who says so.
        at: When, in seconds since the epoch (UTC).
    """
    batch: list[tuple[int, _Line | str]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            batch.append((number, _decoded(line)))
        if len(batch) >= 1_000:
            yield from _judged(batch, experiments, experiment_of, source, at)
            batch = []
    yield from _judged(batch, experiments, experiment_of, source, at)


def _decoded(line: bytes) -> _Line | str:
    try:
        return msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return f"is no line of labels: {error}"


def _judged(
    batch: list[tuple[int, _Line | str]],
    experiments: Mapping[str, Experiment],
    experiment_of: Callable[[list[str]], Mapping[str, str]],
    source: str,
    at: float,
) -> Iterator[LabelLine]:
    pairs = experiment_of([line.pair for _, line in batch if not isinstance(line, str)])
    for number, line in batch:
        if isinstance(line, str):
            yield LabelLine(number, None, line)
        elif line.label is None:
            yield LabelLine(number, None)
        else:
            yield _label(number, line, line.label, experiments.get(pairs.get(line.pair, "")), source, at)


def _label(number: int, line: _Line, said: str, experiment: Experiment | None, source: str, at: float) -> LabelLine:
    if experiment is None:
        return LabelLine(number, None, f'no pair "{line.pair}" of a configured experiment is stored')
    metrics = scored_metrics(experiment)
    metric = metrics.get(line.metric)
    if metric is None:
        known = ", ".join(metrics) or "none"
        return LabelLine(number, None, f'{experiment.name} has no metric "{line.metric}" with a scorer: {known}')
    value, flaw = _value(metric, line.pair, said)
    if flaw:
        return LabelLine(number, None, f"label {flaw}")
    made = Label(pair=line.pair, experiment=experiment.name, metric=metric.name, value=value, source=source, at=at)
    return LabelLine(number, made)


def _value(metric: Guardrail | Monitor, pair: str, said: str) -> tuple[str, str]:
    """Return what is stored, and why it is not."""
    if len(said) > _MOST_CHARACTERS:
        return "", f"is longer than {_MOST_CHARACTERS:,} characters"
    if takes_reference(metric) and metric.scorer is not None:
        try:
            reference_of(metric.scorer, said)
        except UnusableReferenceError as error:
            return "", str(error)
        return said, ""
    word = said.strip().lower()
    if word in _BLIND:
        word = SIDES[(word == "b") is not is_swapped(pair)]
    return (word, "") if word in SIDES else ("", f'is "{said[:40]}", must be a, b, tie, control or treatment')


def _told(side: PairSide) -> dict[str, Any]:
    return {name: getattr(side, name) for name in ("backend", "answer", "status", "error", "latency_ms")}
