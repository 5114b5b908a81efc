"""Pairs -> outcomes: a failure counts, a missing side does not, and every value says whose it is."""

import math

import msgspec
import pytest
from structlog.testing import capture_logs
from tests_builders import make_experiment, make_pair

from experiments.config.records import Backend, Guardrail, Monitor, Price
from experiments.golden.sets import Expected, GoldenError, GoldenItem, GoldenSet, load_golden
from experiments.model import TREATMENT
from experiments.scorers import Answer, PairScore, scorer_for
from experiments.scoring.experiment_scorer import ExperimentScorer, score_pending


def score(live=None, shadow=None, **changes) -> dict[str, float]:
    golden = GoldenSet([GoldenItem(id="1", request={"prompt": "capital?"}, expected=Expected(exact="Paris"))])
    backends = {
        "control": Backend(name="control", urls=("http://a",), price=Price(input=1.0, output=2.0)),
        "treatment": Backend(name="treatment", urls=("http://b",), price=Price(input=0.5, output=1.0)),
    }
    texts = {"prompt": "capital?", "input_tokens": 10, "output_tokens": 5}
    pair = make_pair(texts | {"answer": "Paris"} | (live or {}), texts | {"answer": "Paris"} | (shadow or {}))
    found = ExperimentScorer(make_experiment(**changes), golden, backends).outcomes(*pair)
    return {outcome.metric: outcome.value for outcome in found}


def test_two_right_answers_tie_and_the_ratios_are_logarithms() -> None:
    values = score(shadow={"latency_ms": 5.0})

    assert (values["quality"], values["errors"]) == (0.0, 0.0)
    assert values["latency"] == pytest.approx(math.log(0.5))
    assert values["cost"] == pytest.approx(math.log(0.5))


def test_the_sign_belongs_to_the_treatment_whichever_side_was_live() -> None:
    assert score(shadow={"answer": "London"})["quality"] == -1.0
    assert score(live={"answer": "London"})["quality"] == 1.0
    treated = {"assigned": TREATMENT, "served": TREATMENT}
    assert score(live=treated | {"answer": "London"})["quality"] == -1.0


@pytest.mark.parametrize("failure", [{"error": "timeout"}, {"error": "status"}, {"error": "reset", "answer": "Par"}])
def test_a_failed_answer_counts_as_wrong_and_never_as_fast(failure: dict) -> None:
    values = score(shadow=failure)

    assert (values["quality"], values["errors"]) == (-1.0, -1.0)
    assert "latency" not in values


@pytest.mark.parametrize("fallback", ["connect", "timeout", "status", "unavailable"])
def test_an_answer_that_control_gave_in_the_treatments_place_is_the_treatments_failure(fallback: str) -> None:
    values = score(live={"assigned": TREATMENT, "served": "control", "fallback": fallback})

    assert (values["quality"], values["errors"]) == (-1.0, -1.0)


@pytest.mark.parametrize(
    "side",
    [
        {"shadow": {"error": "shed"}},
        {"shadow": {"error": "cancelled"}},
        {"shadow": {"error": "drained"}},
        {"live": {"error": "client_closed"}},
        {"live": {"error": "shed"}},
        {"live": {"error": "drained"}},
        {"live": {"assigned": TREATMENT, "served": "control", "fallback": "drained"}},
    ],
)
def test_a_pair_without_two_ends_of_its_own_has_no_outcome(side: dict) -> None:
    assert score(**side) == {}


def test_a_repeated_answer_says_nothing_of_time_or_cost_and_all_of_quality() -> None:
    values = score(live={"cached": True, "latency_ms": None, "ttft_ms": None}, shadow={"answer": "London"})

    assert values == {"quality": -1.0, "errors": 0.0}


def test_tokens_that_were_counted_in_a_cut_off_text_say_nothing_of_cost() -> None:
    cut = {"truncated": True, "tokens_estimated": True}

    assert "cost" not in score(live=cut)
    assert "cost" in score(live={"truncated": True})
    assert "cost" in score(live={"tokens_estimated": True})


def test_a_prompt_without_a_reference_has_no_quality() -> None:
    assert "quality" not in score(live={"prompt": "something else"}, shadow={"prompt": "something else"})


def test_agreement_compares_words_and_needs_an_answer_of_control() -> None:
    agreement = scorer_for(Monitor(name="same", scorer="agreement"))
    right, same, other, none = (Answer(t, ok=t is not None) for t in ("a b", " a  b\n", "a c", None))

    assert agreement.score(right, same, None) == PairScore(1.0, 1.0)
    assert agreement.score(right, other, None) == PairScore(1.0, 0.0)
    assert agreement.score(right, none, None) == PairScore(1.0, 0.0)
    assert agreement.score(none, right, None) is None


@pytest.mark.parametrize(
    ("extract", "answer", "right"),
    [
        ("json:intent", '{"intent": "refund", "order": "1"}', True),
        ("json:intent", '{"intent": "track"}', False),
        ("json:intent", "refund", False),
        ("json:a.b", '{"a": {"b": "refund"}}', True),
        ("json:a.b", '{"a": "b"}', False),
        ("regex:label: (\\w+)", "the label: refund", True),
        ("regex:label: (\\w+)", "refund", False),
        ("json:intent", "[" * 100_000, False),
    ],
)
def test_a_label_is_found_inside_the_answer(extract: str, answer: str, right: bool) -> None:
    label = scorer_for(Guardrail(name="q", scorer="label", label=extract, margin=0.1))

    found = label.score(Answer("refund", ok=True), Answer(answer, ok=True), Expected(label="refund"))

    assert found.treatment == float(right)


def test_a_scorer_that_raises_costs_its_pair_and_never_the_loop(store, load) -> None:
    class Broken(ExperimentScorer):
        def outcomes(self, live, shadow):  # noqa: ARG002  # the signature of what it replaces
            raise RuntimeError("third-party code")

    live, shadow = make_pair()
    load(live, shadow)

    assert score_pending(store, {"support": Broken(make_experiment())}) == 1
    assert store.unscored_pairs(10) == []


def test_a_scorer_that_holds_the_loop_up_is_told_by_its_version(monkeypatch) -> None:
    monkeypatch.setattr("experiments.scoring.experiment_scorer._SLOW_S", 0.0)

    with capture_logs() as logs:
        score(guardrails=(), monitors=(Monitor(name="same", scorer="agreement"),))

    assert [(log["event"], log["scorer"]) for log in logs] == [("scorer_slow", "agreement/1")]


def test_a_golden_set_that_cannot_be_read_says_file_and_line(tmp_path) -> None:
    path = tmp_path / "golden.jsonl"
    item = {"id": "1", "request": {"prompt": "x"}, "expected": {"exact": "y"}}
    path.write_bytes(msgspec.json.encode(item) + b"\n\n" + b'{"id": 3}\n')

    with pytest.raises(GoldenError, match=r"golden\.jsonl:3: "):
        load_golden(path)
    with pytest.raises(GoldenError, match="No such file"):
        load_golden(tmp_path / "none.jsonl")
