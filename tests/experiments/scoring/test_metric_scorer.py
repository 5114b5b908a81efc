"""One metric of a pair that was served before: what is a right answer, and which one counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests_builders import make_pair
from tests_history import CONFIG, write_config

from experiments.config import load
from experiments.golden.sets import Expected
from experiments.scoring.metric_scorer import MetricScorer, UnusableReferenceError, reference_of, scored_metrics

REFERRED = CONFIG.replace('agreement = { scorer = "agreement",', 'right = { scorer = "contains",').replace(
    "mirror_percent = 100", 'mirror_percent = 100\ngolden = "golden.jsonl"'
)


@pytest.mark.parametrize(
    ("scorer", "text", "expected"),
    [
        ("exact", "42", Expected(exact="42")),
        ("chrf_reference", "42", Expected(exact="42")),
        ("label", "refund", Expected(label="refund")),
        ("contains", "रिफंड", Expected(contains=("रिफंड",))),
        ("regex", "^[0-9]+$", Expected(regex="^[0-9]+$")),
        ("json_schema", '{"type": "object"}', Expected(json_schema={"type": "object"})),
    ],
)
def test_a_right_answer_is_what_its_scorer_expects(scorer: str, text: str, expected: Expected) -> None:
    assert reference_of(scorer, text) == expected


@pytest.mark.parametrize(
    ("scorer", "text"), [("exact", " "), ("regex", "("), ("json_schema", "no"), ("json_schema", '{"type": 7}')]
)
def test_what_no_scorer_can_compare_with_is_refused(scorer: str, text: str) -> None:
    with pytest.raises(UnusableReferenceError):
        reference_of(scorer, text)


def test_the_golden_set_goes_before_a_label(tmp_path: Path) -> None:
    item = {"id": "a", "request": {"prompt": "known"}, "expected": {"contains": ["yes"]}}
    (tmp_path / "golden.jsonl").write_text(json.dumps(item))
    config = load(write_config(tmp_path, REFERRED), {})
    scorer = MetricScorer(config, "support", "right")

    def values(prompt: str, label: str | None) -> tuple[float, float] | None:
        made = scorer.outcome(
            *make_pair({"prompt": prompt, "answer": "yes"}, {"prompt": prompt, "answer": "no"}), label
        )
        return None if made is None else (made.control_value, made.treatment_value)

    assert values("known", "no") == values("known", None) == (1.0, 0.0)
    assert values("unknown", "no") == (0.0, 1.0)
    assert values("unknown", None) is None
    assert values("unknown", "") is None


def test_only_the_metric_that_was_asked_for_is_scored(tmp_path: Path) -> None:
    config = load(write_config(tmp_path), {})
    scorer = MetricScorer(config, "support", "agreement")
    made = scorer.outcome(*make_pair(shadow={"answer": "no"}))

    assert made is not None
    assert (made.metric, made.value) == ("agreement", -1.0)
    assert not scorer.takes_reference
    assert list(scored_metrics(config.experiments["support"])) == ["agreement"]
    with pytest.raises(LookupError):
        MetricScorer(config, "support", "errors")
