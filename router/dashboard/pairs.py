"""The page of pairs: both answers side by side, with the words marked in which they differ."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from experiments.evidence import Kind
from experiments.explain import where
from experiments.pairs.reader import Pair, PairQuery, PairQueryError, PairReader, PairSide, Score
from experiments.showing.standing import Standing
from experiments.showing.word_differences import Piece, word_differences

_PAGE = 20


class ShownSide(NamedTuple):
    """One answer."""

    title: str
    pieces: list[Piece]
    missing: str
    """What stands in place of an answer that is not there."""


class ShownPair(NamedTuple):
    """A pair, as the template needs it."""

    at: float
    prompt: str | None
    slices: dict[str, str]
    scores: list[str]
    sides: list[ShownSide]


def pairs_page(reader: PairReader, standing: Standing, asked: QueryParams) -> dict[str, Any]:
    """Return what the page shows: the pairs of one metric that disagree, the telling ones first.

    Args:
        reader: Finds pairs.
        standing: Of the experiment.
        asked: `metric`, `slice`, `order`, `cursor`.
    """
    evidence, name = standing.evidence, standing.experiment.name
    rows = evidence.metrics if evidence is not None else []
    metrics = list(dict.fromkeys(row.metric for row in rows if row.kind is Kind.PAIRED and row.pairs))
    slices = list(dict.fromkeys(row.slice for row in rows if row.slice))
    metric = asked.get("metric") or (metrics[0] if metrics else "")
    chosen = {"metric": metric, "slice": asked.get("slice", ""), "order": asked.get("order") or "worst"}
    shown: dict[str, Any] = {
        **chosen,
        "name": name,
        "metrics": metrics,
        "slices": [(slice_, where(slice_)) for slice_ in slices],
        "pairs": [],
        "next_url": "",
        "trouble": "",
    }
    if not metric:
        return shown | {"trouble": "No pair has been scored yet."}
    query = PairQuery(
        name,
        metric=metric,
        slice=chosen["slice"],
        order="best" if chosen["order"] == "best" else "worst",
        disagreeing=True,
        limit=_PAGE,
        cursor=asked.get("cursor"),
    )
    try:
        page = reader.page(query)
    except PairQueryError as error:
        return shown | {"trouble": f"This cannot be asked: {error}"}
    if page.next_cursor is not None:
        shown["next_url"] = f"/experiments/{name}/pairs?{urlencode({**chosen, 'cursor': page.next_cursor})}"
    return shown | {"pairs": [_shown(pair, standing, metric) for pair in page.pairs]}


def _shown(pair: Pair, standing: Standing, metric: str) -> ShownPair:
    control, treatment = pair.control.answer or "", pair.treatment.answer or ""
    pieces = word_differences(control, treatment)
    names = (standing.experiment.control, standing.experiment.treatment)
    sides = [
        ShownSide(f"{role} ({name})", found, _missing(side))
        for role, name, found, side in zip(
            ("Control", "Treatment"), names, pieces, (pair.control, pair.treatment), strict=True
        )
    ]
    scores = sorted(pair.scores, key=lambda score: (score.metric != metric, score.metric))
    return ShownPair(pair.at, pair.prompt, pair.slices, [_said(score) for score in scores], sides)


def _missing(side: PairSide) -> str:
    if side.erased_at is not None:
        return "(the answer is not kept)"
    return f"(no answer: {side.error})" if side.error else "(no answer that could be read)"


def _said(score: Score) -> str:
    if score.failure:
        return f"{score.metric}: {score.failure}"
    return f"{score.metric} {score.control:.3g} / {score.treatment:.3g}"
