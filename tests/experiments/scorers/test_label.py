"""A label inside the answer: found where the configuration says, and compared with the golden set's."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.records import Guardrail
from experiments.golden.sets import Expected, GoldenItem, GoldenSet
from experiments.scorers import Answer, PairScore, ScorerError
from experiments.scorers.base import DetailedScore
from experiments.scorers.label import Label, is_extractor
from experiments.scoring.experiment_scorer import ExperimentScorer
from tests.experiments.tests_builders import make_experiment, make_pair


def ok(text: str | None) -> Answer:
    return Answer(text, ok=True)


@pytest.mark.parametrize(
    ("extract", "text", "label"),
    [
        ("json:intent", '{"intent": "refund", "order": "17"}', "refund"),
        ("json:intent", ' {"intent":"refund"}\n', "refund"),
        ("json:order", '{"order": 17}', "17"),
        ("json:a.b.c", '{"a": {"b": {"c": "x"}}}', "x"),
        ("json:a.b", '{"a.b": "x"}', None),
        ("json:intent", '{"intent": null}', None),
        ("json:intent", '{"Intent": "refund"}', None),
        ("json:intent", '["intent"]', None),
        ("json:intent", '"intent"', None),
        ("json:intent", 'Sure! {"intent": "refund"}', None),
        ("json:intent", '{"intent": "refund"', None),
        ("json:intent", "", None),
        ("json:intent", "\ud800", None),
        ("json:intent", '{"intent":' * 100_000, None),
        ("json:नाम", '{"नाम": "क"}', "क"),
        ("regex:label: *(\\w+)", "the label:   refund, I think", "refund"),
        ("regex:label: *(\\w+)", "label: a label: b", "a"),
        ("regex:(?i)label: (\\w+)", "LABEL: x", "x"),
        ("regex:label: (\\w+)", "no", None),
        ("regex:(a)?b", "b", None),
        ("regex:(\\d+):(\\d+)", "12:30", "12"),
        ("regex:^(yes|no)$", "yes\nand more", None),
    ],
)
def test_the_label_is_found_where_the_configuration_says(extract: str, text: str, label: str | None) -> None:
    assert Label(extract).extract(text) == label


REFUND = Expected(label="refund")


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        (ok('{"intent": "refund"}'), ok('{"intent": "refund", "more": 1}'), (1, 1)),
        (ok('{"intent": "refund"}'), ok('{"intent": "track"}'), (1, 0)),
        (ok("refund"), ok('{"intent": "refund"}'), (0, 1)),
        (ok(None), Answer('{"intent": "refund"}', ok=False), (0, 0)),
    ],
)
def test_each_answers_label_is_held_against_the_reference(control: Answer, treatment: Answer, score: tuple) -> None:
    assert Label("json:intent").score(control, treatment, REFUND) == PairScore(*score)


@pytest.mark.parametrize(
    ("expected", "score"),
    [
        (Expected(label="refund"), (1, 0)),
        (Expected(exact='{"intent": "refund", "order": "1"}'), (1, 0)),
        (Expected(label="track", exact='{"intent": "refund"}'), (0, 1)),
        (Expected(exact="no JSON"), None),
        (Expected(), None),
        (None, None),
    ],
)
def test_the_reference_is_a_label_or_the_label_inside_the_exact_answer(
    expected: Expected | None, score: tuple | None
) -> None:
    answers = ok('{"intent": "refund"}'), ok('{"intent": "track"}')

    assert Label("json:intent").score(*answers, expected) == (None if score is None else PairScore(*score))


def test_a_pattern_that_takes_others_for_ever_does_not() -> None:
    # Python's own `re` would need more than a lifetime for it.
    assert Label("regex:^(?:a|a)*(b)$").extract("a" * 20_000) is None


@pytest.mark.parametrize("pattern", ["(?<=a)(b)", r"(a)\1", "("])
def test_a_pattern_that_could_hang_or_cannot_be_read_is_refused(pattern: str) -> None:
    assert not is_extractor(f"regex:{pattern}")
    with pytest.raises(ScorerError, match="RE2"):
        Label(f"regex:{pattern}")


def test_what_is_extracted_is_part_of_the_version_that_every_outcome_carries() -> None:
    assert Label("json:a").version != Label("json:b").version
    assert Label("json:a").version == Label("json:a").version


keys = st.text(st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1, max_size=5)


@given(path=st.lists(keys, min_size=1, max_size=4), label=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_at_any_path_is_found(path: list[str], label: str) -> None:
    document: object = label
    for key in reversed(path):
        document = {key: document, f"{key}-other": 1}

    assert Label(f"json:{'.'.join(path)}").extract(json.dumps(document)) == label


@given(text=st.text(max_size=60))
def test_no_answer_makes_it_raise(text: str) -> None:
    for extract in ("json:a.b", "regex:(x+)"):
        found = Label(extract).extract(text)
        assert found is None or isinstance(found, str)


@given(text=st.text("ab:\n", max_size=20))
def test_a_regular_expression_is_searched_for_and_its_first_group_taken(text: str) -> None:
    found = re.search("a(b*):", text)

    assert Label("regex:a(b*):").extract(text) == (found and found[1])


@pytest.mark.parametrize(
    ("json_value", "label"), [("true", "true"), ("false", "false"), ("[1,2]", "[1,2]"), ('{"a":1}', '{"a":1}')]
)
def test_a_label_is_spelled_as_json_spells_it(json_value: str, label: str) -> None:
    answer = Answer(f'{{"ok": {json_value}}}', ok=True)
    assert Label("json:ok").score(answer, answer, Expected(label=label)) == PairScore(1, 1)


@pytest.mark.parametrize(
    ("answered", "kept"),
    [
        (ok('{"intent": "refund"}'), "refund"),
        (ok('{"intent": "track"}'), "track"),
        (ok("no JSON"), None),
        (Answer('{"intent": "refund"}', ok=False), None),
        (ok('{"intent": "' + "my address is " * 9 + '"}'), "(too long for a label)"),
    ],
)
def test_the_labels_are_kept_beside_the_scores_and_no_text_is(answered: Answer, kept: str | None) -> None:
    score = Label("json:intent").score(ok('{"intent": "refund"}'), answered, REFUND)

    assert isinstance(score, DetailedScore)
    assert score.detail == {"expected": "refund", "control": "refund", "treatment": kept}


def test_an_outcome_has_the_labels_of_its_pair() -> None:
    golden = GoldenSet([GoldenItem(id="1", request={"prompt": "why?"}, expected=REFUND)])
    metric = Guardrail(name="intent", scorer="label", label="json:intent", margin=0.02)
    pair = make_pair(*({"prompt": "why?", "answer": f'{{"intent": "{intent}"}}'} for intent in ("refund", "track")))

    outcomes = ExperimentScorer(make_experiment(guardrails=(metric,)), golden).outcomes(*pair)

    found = {outcome.metric: outcome.detail for outcome in outcomes}
    assert found["intent"] == {"expected": "refund", "control": "refund", "treatment": "track"}
    assert found["errors"] is None
