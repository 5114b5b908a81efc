"""Pairs in the terminal: both answers side by side, with the words in which they differ marked.

Texts come from users and models, who may write anything: what a terminal would obey, or would show as something else
than it is, is shown escaped.
"""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from experiments.pairs.reader import Pair, PairPage, PairSide, Score
from experiments.showing.word_differences import Piece, word_differences
from router.views import View

_JOINERS = frozenset("\u200c\u200d")
"""Indian scripts and emoji need them."""
_ESCAPED = "reverse"
_GONE, _THERE = "bold red", "bold green"


def pairs_view(page: PairPage, metric: str | None) -> View:
    """Show a page of pairs.

    Args:
        page: What was found.
        metric: What they are ordered by.
    """
    where = f"{page.experiment}, epoch {page.epoch}"
    if not page.pairs:
        return View(page, [f"{where}: no such pair"])
    parts: list[RenderableType] = []
    for number, pair in enumerate(page.pairs, 1):
        parts.append(_shown(number, pair, metric))
    if page.next_cursor is not None:
        parts.append(f"There are more: --cursor {page.next_cursor}")
    return View(page, parts)


def safe(text: str) -> Text:
    r"""Return a text that no terminal obeys: control characters, and marks that turn its direction, are escaped.

    >>> safe("a\x1b[31mb\u202e").plain
    'a\\x1b[31mb\\u202e'
    """
    shown = Text()
    plain: list[str] = []
    for sign in text:
        if sign == "\n" or not _is_dangerous(sign):
            plain.append(sign)
            continue
        shown.append("".join(plain))
        plain.clear()
        shown.append(sign.encode("unicode_escape").decode(), _ESCAPED)
    shown.append("".join(plain))
    return shown


def safe_json(text: str) -> str:
    r"""Return the same JSON with those signs written as JSON writes them: whoever prints it is as safe.

    >>> safe_json('"\x9b31m"')
    '"\\u009b31m"'
    """
    return "".join(json.dumps(sign)[1:-1] if sign != "\n" and _is_dangerous(sign) else sign for sign in text)


def _is_dangerous(sign: str) -> bool:
    # Cc: control. Cf: unseen, turns the direction. Cs, Co, Cn: shown by no font. Zl, Zp: break a line unseen.
    return unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} and sign not in _JOINERS


def marked(control: str, treatment: str) -> tuple[Text, Text]:
    """Return both texts, safe, with the words marked that the other one has not in this place."""
    ours, theirs = word_differences(control, treatment)
    return _styled(ours, _GONE), _styled(theirs, _THERE)


def _styled(pieces: list[Piece], style: str) -> Text:
    text = Text()
    for piece in pieces:
        part = safe(piece.text)
        if piece.differs:
            part.stylize(style)
        text.append_text(part)
    return text


def _shown(number: int, pair: Pair, metric: str | None) -> RenderableType:
    at = datetime.fromtimestamp(pair.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    slices = ", ".join(f"{attribute}={value}" for attribute, value in sorted(pair.slices.items()))
    heading = safe(f"{number}. {pair.pair}")
    about = safe("  ".join(part for part in (at, f"stage {pair.stage + 1}", slices) if part))
    about.stylize("dim")
    if pair.prompt is None:
        prompt = Text("the prompt is erased" if pair.is_erased else "no prompt could be read", "italic")
    else:
        prompt = safe(pair.prompt)
    table = Table("control", "treatment", expand=True, box=None, padding=(0, 1))
    table.columns[0].ratio = table.columns[1].ratio = 1
    table.add_row(*_answers(pair))
    table.add_row(_about(pair.control), _about(pair.treatment))
    return Group(Rule(heading, align="left"), about, prompt, table, _scores(pair.scores, metric), "")


def _answers(pair: Pair) -> tuple[Text, Text]:
    control, treatment = pair.control.answer, pair.treatment.answer
    if control is not None and treatment is not None:
        return marked(control, treatment)
    return _answer(pair.control), _answer(pair.treatment)


def _answer(side: PairSide) -> Text:
    if side.answer is not None:
        return safe(side.answer)
    if side.erased_at is not None:
        day = datetime.fromtimestamp(side.erased_at, UTC).strftime("%Y-%m-%d")
        return Text(f"erased on {day}", "italic")
    return Text("no answer" if side.failed else "no answer that could be read", "italic")


def _about(side: PairSide) -> Text:
    latency = "" if side.latency_ms is None else f"{side.latency_ms:.0f} ms"
    parts = (side.backend, f"HTTP {side.status}" if side.status else "", side.error, latency, side.finish_reason or "")
    text = safe("  ".join(part for part in parts if part))
    text.stylize("red" if side.failed else "dim")
    return text


def _scores(scores: list[Score], metric: str | None) -> RenderableType:
    if not scores:
        return Text("not scored", "italic")
    table = Table("metric", "control", "treatment", "value", "scorer", box=None, padding=(0, 1))
    for score in sorted(scores, key=lambda score: (score.metric != metric, score.metric)):
        figures = (f"{score.control:g}", f"{score.treatment:g}", f"{score.value:+g}")
        told = (f"no score: {score.failure}", "", "") if score.failure else figures
        table.add_row(
            score.metric, *map(safe, told), safe(score.scorer), style=None if score.metric == metric else "dim"
        )
    return table
