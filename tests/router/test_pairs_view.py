"""Pairs in the terminal: what a person sees, and what no text can make his terminal do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console

from experiments.pairs.reader import Pair, PairPage, PairSide, Score
from router.pairs_view import marked, pairs_view, safe, safe_json

ESCAPE, BELL, CSI, TURNED = "\x1b", "\x07", "\x9b", "\u202e"


def side(answer: str | None, **changes) -> PairSide:
    values = {
        "exchange": "x", "backend": "b", "status": 200, "error": "", "failed": False, "latency_ms": 12.4,
        "ttft_ms": None, "finish_reason": "stop", "answer": answer, "erased_at": None,
    }  # fmt: skip
    return PairSide(**(values | changes))


def page(control: PairSide, treatment: PairSide, cursor: str | None = None, **changes) -> PairPage:
    score = Score(metric="same", scorer="agreement/1", control=1, treatment=0, value=-1)
    pair = Pair(
        pair="p1", experiment="support", epoch=2, stage=0, at=0.0, slices={"language": "hi"}, prompt="where is it?",
        control=control, treatment=treatment, scores=[score],
    )  # fmt: skip
    return PairPage(experiment="support", epoch=2, pairs=[replace(pair, **changes)], next_cursor=cursor)


def shown(found: PairPage, *, color: bool = False) -> str:
    out = Console(
        width=100, highlight=False, markup=False, force_terminal=color, color_system="truecolor" if color else None
    )
    with out.capture() as capture:
        for part in pairs_view(found, "same").parts:
            out.print(part)
    return capture.get()


def test_both_answers_stand_side_by_side_under_the_prompt_with_scores() -> None:
    said = shown(page(side("it comes today"), side("it comes never"), "0.5_7"))

    prompt, answers = said.index("where is it?"), said.index("it comes today")
    assert prompt < answers < said.index("it comes never") < said.index("agreement/1")
    assert "language=hi" in said
    assert "12 ms" in said
    assert "--cursor 0.5_7" in said
    assert "it comes never" in next(line for line in said.splitlines() if "it comes today" in line)


def test_a_square_bracket_is_no_markup() -> None:
    assert "[bold]x[/bold] [/]" in shown(page(side("[bold]x[/bold] [/]"), side("y")))


@pytest.mark.parametrize("hostile", [f"{ESCAPE}[2J", f"{ESCAPE}]0;title{BELL}", f"{CSI}31m", "a\rb", TURNED, "\u2028"])
def test_no_text_of_a_pair_reaches_the_terminal_as_a_command(hostile: str) -> None:
    texts = page(
        side(hostile, backend=hostile, error=hostile, finish_reason=hostile),
        side(hostile + "x"),
        pair=f"p{hostile}",
        prompt=hostile,
        slices={hostile: hostile},
        scores=[Score(metric="m", scorer=hostile, control=0, treatment=0, value=0, failure=hostile)],
    )
    said = shown(texts)

    for sign in hostile:
        if not sign.isprintable():
            assert sign not in said
            assert sign not in safe_json(pairs_view(texts, None).json())
    assert hostile.encode("unicode_escape").decode()[:4] in said


def test_colours_mark_the_words_that_differ_and_no_others() -> None:
    control, treatment = marked("मेरी किताब कल आएगी", "मेरी किताब आज आएगी")

    assert [control.plain[span.start : span.end] for span in control.spans] == ["कल"]
    assert [treatment.plain[span.start : span.end] for span in treatment.spans] == ["आज"]
    assert f"{ESCAPE}[1;31mकल" in shown(page(side("मेरी कल"), side("मेरी आज")), color=True)


@given(st.text(max_size=60), st.text(max_size=60))
def test_marking_leaves_the_texts_as_they_are(control: str, treatment: str) -> None:
    left, right = marked(control, treatment)

    assert (left.plain, right.plain) == (safe(control).plain, safe(treatment).plain)


@given(st.text())
def test_what_is_made_safe_is_printable_and_keeps_what_was(text: str) -> None:
    said = safe(text).plain

    assert all(sign in "\n\u200c\u200d" or sign.isprintable() or sign.isspace() for sign in said)
    assert ESCAPE not in said
    if text.isascii() and text.isprintable():
        assert said == text


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=9)))
def test_json_that_is_made_safe_says_the_same(data: dict) -> None:
    assert json.loads(safe_json(json.dumps(data, ensure_ascii=False))) == data


def test_what_is_not_there_is_said() -> None:
    erased = shown(page(side(None, erased_at=86_400.0), side("y"), prompt=None))
    failed = shown(page(side("y"), side(None, failed=True, error="timeout", status=0)))

    assert "the prompt is erased" in erased
    assert "erased on 1970-01-02" in erased
    assert "no answer" in failed
    assert "timeout" in failed
    assert pairs_view(PairPage(experiment="support", epoch=1, pairs=[], next_cursor=None), None).parts == [
        "support, epoch 1: no such pair"
    ]


def test_very_long_answers_are_shown_without_marks() -> None:
    left, right = marked("word " * 6_000, "other " * 6_000)

    assert not left.spans
    assert not right.spans
