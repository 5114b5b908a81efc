"""The file that people label: it tells nobody which answer is whose, and finds back to where it came from."""

from __future__ import annotations

import json

import pytest
from tests_builders import make_experiment

from experiments.config.records import Guardrail, Monitor
from experiments.pairs.labelling import exported, is_swapped, read_labels
from experiments.pairs.reader import Pair, PairSide, Score

EXPERIMENT = make_experiment(
    guardrails=(
        Guardrail(name="right", scorer="exact", margin=0.02),
        Guardrail(name="errors", max_relative=1.2, margin=0.01),
    ),
    monitors=(Monitor(name="same", scorer="agreement"), Monitor(name="number", scorer="regex")),
)
STRAIGHT, SWAPPED = (next(f"p{n}" for n in range(99) if is_swapped(f"p{n}") is wanted) for wanted in (False, True))


def side(answer: str) -> PairSide:
    return PairSide(
        exchange="x", backend=f"backend of {answer}", status=200, error="", failed=False, latency_ms=12.5, ttft_ms=None,
        finish_reason=None, answer=answer, erased_at=None,
    )  # fmt: skip


def pair(name: str) -> Pair:
    score = Score(metric="same", scorer="agreement/1", control=1, treatment=0, value=-1)
    return Pair(
        pair=name, experiment="support", epoch=1, stage=0, at=1.0, slices={"language": "hi"}, prompt="क्या?",
        control=side("old"), treatment=side("new"), scores=[score],
    )  # fmt: skip


def read(*lines: object) -> list[tuple[str | None, str]]:
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    found = read_labels(
        raw, {"support": EXPERIMENT}, lambda pairs: dict.fromkeys(set(pairs) - {"unknown"}, "support"), "me", 2.0
    )
    return [(line.label.value if line.label else None, line.flaw) for line in found]


def test_a_blinded_line_has_the_answers_and_nothing_that_tells_whose_they_are() -> None:
    lines = [exported(pair(name), "same") for name in (STRAIGHT, SWAPPED)]

    assert [(line["answer_a"], line["answer_b"]) for line in lines] == [("old", "new"), ("new", "old")]
    assert set(lines[0]) == {"pair", "experiment", "metric", "slices", "prompt", "answer_a", "answer_b", "label"}
    assert "backend" not in str(lines)


def test_half_of_the_pairs_are_swapped() -> None:
    assert 450 < sum(is_swapped(f"pair {number}") for number in range(1_000)) < 550


def test_an_unblinded_line_names_the_variants() -> None:
    line = exported(pair(SWAPPED), "same", blinded=False)

    assert (line["control"]["answer"], line["treatment"]["answer"]) == ("old", "new")
    assert "answer_a" not in line


@pytest.mark.parametrize("name", [STRAIGHT, SWAPPED])
def test_a_blind_verdict_finds_the_variant_that_it_is_about(name: str) -> None:
    blind = exported(pair(name), "same")
    new = "a" if blind["answer_a"] == "new" else "b"

    said = read(*(blind | {"label": label} for label in (new, "ab".replace(new, ""), "tie", "Treatment")))

    assert said == [("treatment", ""), ("control", ""), ("tie", ""), ("treatment", "")]


def test_where_a_right_answer_is_compared_with_a_label_is_one_even_if_it_reads_a() -> None:
    line = {"pair": SWAPPED, "metric": "right"}

    assert read(line | {"label": "a"}, line | {"label": "tie"}) == [("a", ""), ("tie", "")]


def test_lines_that_cannot_be_used_say_why_and_the_others_are_read() -> None:
    good = {"pair": "p", "metric": "same", "label": "tie"}

    said = read(
        good,
        b"no json",
        b"",
        good | {"label": None},
        good | {"label": "better"},
        good | {"label": 7},
        good | {"pair": "unknown"},
        good | {"metric": "errors"},
        good | {"metric": "right", "label": " "},
        good | {"metric": "number", "label": "("},
        good | {"metric": "right", "label": "x" * 70_000},
        b'{"pair": "\xff", "metric": "same"}',
        good,
    )

    flaws = [flaw for _, flaw in said]
    assert (said[0], said[2], said[-1]) == (("tie", ""), (None, ""), ("tie", ""))
    for flaw, part in zip(
        (flaws[1], *flaws[3:-1]),
        ("no line", "must be a, b", "label", "no pair", "no metric", "is empty", "RE2", "longer", "no line"),
        strict=True,
    ):
        assert part in flaw


def test_the_numbers_of_lines_count_empty_ones() -> None:
    lines = read_labels([b"\n", b"x\n"], {}, lambda _: {}, "me", 1.0)

    assert [line.number for line in lines] == [2]
